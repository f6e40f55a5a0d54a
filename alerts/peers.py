"""One peer that is bad among many."""

from typing import Final

from alerts.rules import Group

GROUP: Final = Group("asterisk-fax-peers", (), comment="One peer that is bad among many.")
