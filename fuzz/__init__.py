"""Fuzzing; what is done with each input is in harness/conversation.py and harness/web_bytes.py."""
