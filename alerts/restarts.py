"""Asterisks that start again and again."""

from typing import Final

from alerts.rules import Group

GROUP: Final = Group("asterisk-fax-restarts", (), comment="Asterisks that start again and again.")
