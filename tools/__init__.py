"""Generators: of the documents that follow from the code, and of the pictures of dashboards.

`python -m tools` writes the documents; a test fails while one of them is out of date.
"""
