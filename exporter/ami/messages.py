"""What one AMI message is once it has been read: headers by name."""

from collections.abc import Mapping
from typing import Final, TypeAlias

Headers: TypeAlias = Mapping[str, str | list[str]]
"""One AMI message: header name to its value, or to all its values where it was repeated."""

MAX_LINE: Final = 1024
"""Characters of a message about a session; Asterisk's own have some 300."""
