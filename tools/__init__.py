"""What makes the documents that the code already says, and the pictures of dashboards.

`python -m tools` writes the documents anew; a test fails while one of them is out of date.
"""
