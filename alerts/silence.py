"""A line that has gone silent."""

from typing import Final

from alerts.rules import Group

GROUP: Final = Group("asterisk-fax-silence", (), comment="A line that has gone silent.")
