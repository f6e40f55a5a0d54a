"""The packages that need no Python of the machine: .deb, .rpm and .tar.gz with one content.

`python -m packages` (`make packages`) makes them. python.py has the Python in them; tree.py lays
everything out as it is installed, and what writes the three files knows only that tree.
"""
