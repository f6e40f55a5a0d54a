"""Asterisks that start again and again."""

from typing import Final

from alerts.promql import increase
from alerts.rules import Alert, Figure, Group, Record
from alerts.thresholds import RESTARTS

RESTARTED: Final = "pbx:asterisk_fax_asterisk_restarts:increase"
DROPPED: Final = "pbx:asterisk_fax_sessions_without_result:increase2h"


def _restarts(range_: str) -> str:
    return f"""\
round(max without (replica) (
    increase(asterisk_fax_asterisk_restarts_total[{range_}])
    > changes(asterisk_fax_asterisk_start_timestamp_seconds[{range_}])
  or
    changes(asterisk_fax_asterisk_start_timestamp_seconds[{range_}])
  or
    increase(asterisk_fax_asterisk_restarts_total[{range_}])
))
"""


def _faxes(counted: str) -> str:
    return f'asterisk_fax_{counted}_total{{operation=~"send|receive"}}'


GROUP: Final = Group(
    "asterisk-fax-restarts",
    (
        Record(
            RESTARTED,
            _restarts("2h"),
            """
The counter does not have what happened while the exporter was away, the time of start not what
happened twice between two scrapes; neither has too many.
""",
            labels={"window": "2h"},
        ),
        Record(RESTARTED, _restarts("4h"), labels={"window": "4h"}),
        Record(RESTARTED, _restarts("1d"), labels={"window": "1d"}),
        Record(
            DROPPED,
            f"""\
clamp_min(
    {increase(_faxes("sessions_ended"), "2h", "operation")}
  -
    {increase(_faxes("finished"), "2h", "operation", "transport")},
  0
)
""",
            "Faxes that ended and no event said how.",
        ),
        Alert(
            "AsteriskFaxAsteriskRestarts",
            f"""\
max without (window) (
    {RESTARTED}{{window="2h"}} > {RESTARTS}
  or
      {RESTARTED}{{window="1d"}} > {RESTARTS} * 2
    and ignoring (window)
      {RESTARTED}{{window="4h"}} > 0
)
""",
            wait="2m",
            severity="critical",
            summary="Asterisk at {labels.instance} starts again and again",
            description="It was started {hours} times in the past two hours, {day} times in the "
            "past day. {dropped} faxes of the past two hours ended without a result.",
            figures={
                "hours": Figure(f'{RESTARTED}{{window="2h"}}'),
                "day": Figure(f'{RESTARTED}{{window="1d"}}'),
                "dropped": Figure(DROPPED),
            },
        ),
    ),
    comment="Asterisks that start again and again.",
    interval="2m",
)
