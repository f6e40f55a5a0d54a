"""Measurements of cost: CPU, wall time and memory, each beside what the same bytes cost anyway.

No tests: nothing here passes or fails by the clock. One subject a file; `make bench`.
"""
