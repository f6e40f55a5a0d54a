"""The alert rules, from code: one file a subject, one place for the numbers, several ways to write
them. `python -m alerts` writes what is shipped; nothing of it runs with the exporter."""
