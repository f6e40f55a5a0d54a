"""Faxes that are attempted and never begin."""

from typing import Final

from alerts.rules import Alert, Figure, Group, Record
from alerts.thresholds import FAILURES, FAXES

GROUP: Final = Group(
    "asterisk-fax-attempts",
    (
        Record(
            "pbx:asterisk_fax_attempts:increase1h",
            """\
  max without (replica) (increase(asterisk_fax_transmit_attempts_total[1h]))
+
  max without (replica) (increase(asterisk_fax_receive_attempts_total[1h]))
""",
            """
What is neither completed nor running has never begun, or is just beginning;
the smallest value of five minutes leaves the latter out. A restart of Asterisk sets it
back to 0, and the hour's smallest value with it. Gateways and V.21 detectors are no attempts.
""",
        ),
        Record(
            "target:asterisk_fax_attempts_not_completed:sum",
            """\
    asterisk_fax_transmit_attempts_total
  +
    asterisk_fax_receive_attempts_total
  -
    asterisk_fax_completed_total
  -
    sum without (operation, state) (asterisk_fax_sessions{operation=~"send|receive"})
or
  label_replace(
      asterisk_fax_transmit_attempts_total
    +
      asterisk_fax_receive_attempts_total
    -
      asterisk_fax_completed_total
    unless
      sum without (operation, state) (asterisk_fax_sessions{operation=~"send|receive"}),
    "sessions", "unlisted", "", ""
  )
""",
            """
Where the list of sessions is refused, those that run cannot be taken off: that is another series,
so that the step from one to the other is no growth.
""",
        ),
        Record(
            "pbx:asterisk_fax_attempts_not_completed:growth1h",
            """\
max without (replica, sessions) (
    min_over_time(target:asterisk_fax_attempts_not_completed:sum[5m])
  -
    min_over_time(target:asterisk_fax_attempts_not_completed:sum[1h])
)
""",
        ),
        Alert(
            "AsteriskFaxT38NegotiationFailing",
            f"""\
  pbx:asterisk_fax_attempts_not_completed:growth1h >= {FAXES}
and
  pbx:asterisk_fax_attempts_not_completed:growth1h
  > {FAILURES} * pbx:asterisk_fax_attempts:increase1h
""",
            wait="10m",
            severity="critical",
            summary="Faxes at {labels.instance} are attempted and never begin",
            description="Of {attempts} attempts in the past hour {value} have neither completed "
            "nor do they run: T.38 was not negotiated, or the file could not be read.",
            figures={"attempts": Figure("pbx:asterisk_fax_attempts:increase1h")},
        ),
    ),
    comment="Faxes that are attempted and never begin.",
)
