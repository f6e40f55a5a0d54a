"""Why nothing is written, and what the administrator can do."""


class Refusal(Exception):
    """What was tried, what came back, and what to do. Nothing of it may be a secret."""
