"""Measurements of cost (`make bench`): CPU, wall time and memory of what the exporter does.

Each stands beside the least that the same bytes cost any program. Nothing here passes or fails.
"""
