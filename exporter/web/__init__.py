"""What is served over HTTP, and to whom: the web process. Nothing here asks a PBX anything.

The main process imports none of it; it starts __main__.py by web_process.py.
"""
