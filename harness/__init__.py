"""What tests/, fuzz/ and bench/ share: a PBX, a clock, the exporter as a process, its checks.

It imports none of them, so that each can be run without the others.
"""
