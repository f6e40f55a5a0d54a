"""The Grafana dashboards, as code. `python -m grafana` writes their JSON.

Needs grafana-foundation-sdk; nothing here is part of the exporter.
"""
