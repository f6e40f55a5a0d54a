"""An exporter under siege: all that a stranger who reaches its port can do, and what it costs.

    make siege
    make siege ARGS="--seconds 10 --only places"
    make siege ARGS="--against node_exporter"

A control beside it, on the same PBX and never attacked, tells what the machine itself costs.
"""
