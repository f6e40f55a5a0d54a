"""Inputs found by coverage; what is done with them is in harness/conversation.py."""
