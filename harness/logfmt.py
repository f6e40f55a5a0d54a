"""Lines of logfmt, read as its readers do."""

import json


def parse(line: str) -> dict[str, str]:
    """The keys and values of a line; a quoted value is a JSON string. AssertionError if not."""
    found = {}
    while line:
        key, _, line = line.partition("=")
        if line.startswith('"'):
            value, end = json.JSONDecoder().raw_decode(line)
            line = line[end:]
        else:
            value, space, line = line.partition(" ")
            line = space + line
        assert line == "" or line.startswith(" ")
        found[key], line = value, line[1:]
    return found
