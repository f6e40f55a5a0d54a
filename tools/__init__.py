"""Generators: of the documents that follow from the code, digests of images, the SBOM.

`python -m tools` writes the documents; a test fails while one of them is out of date.
"""
