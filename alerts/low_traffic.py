"""Faxes so few that no share of them is evidence: that none succeeds any more is."""

from typing import Final

from alerts.promql import increase, kept
from alerts.rules import Alert, Figure, Group, Listing, Record
from alerts.thresholds import FAILING_SECONDS

_LAST: Final = "pbx_operation:asterisk_fax_last_judged:timestamp_seconds"
_SUCCESS: Final = "pbx_operation:asterisk_fax_last_success:timestamp_seconds"
_SINCE: Final = "pbx_operation:asterisk_fax_failing_since:timestamp_seconds"
_FAILED: Final = 'pbx_operation:asterisk_fax_ended:increase{result=~"ours|theirs", window="1h"}'

GROUP: Final = Group(
    "asterisk-fax-low-traffic",
    (
        Record(
            _SUCCESS,
            f"""\
  max without (replica) (asterisk_fax_last_success_timestamp_seconds)
or ignoring (rules)
  {kept(_SUCCESS)}
""",
            comment="When the last fax ended well, also if the exporter was restarted since.",
        ),
        Record(
            _LAST,
            f"""\
    max without (replica) (asterisk_fax_last_fax_timestamp_seconds)
  and ignoring (rules)
    max without (result, window) ({_FAILED} > 0)
or ignoring (rules)
  {kept(_LAST)}
""",
            comment="The same of the last fax in an hour in which one failed.",
        ),
        Record(
            _SINCE,
            f"""\
  last_over_time({_SINCE}[1h])
  > {_SUCCESS}
or
    last_over_time({_SINCE}[1h])
  unless
    {_SUCCESS}
or
  {_LAST}
  > {_SUCCESS}
or
    {_LAST}
  unless
    {_SUCCESS}
""",
            comment="When the first failed of the faxes since the last that ended well.",
        ),
        Alert(
            "AsteriskFaxNoneSucceeds",
            f"""\
  {_LAST} - {_SINCE}
  >= {FAILING_SECONDS}
and ignoring (operation, rules)
  max without (replica) (last_over_time(asterisk_fax_up[1h]))
""",
            wait="1h",
            severity="warning",
            summary="No fax succeeds at {labels.instance} any more: {labels.operation}",
            description="Since the first failed, {failing:duration} ago, no fax "
            "({labels.operation}) has succeeded. Failed in the past three days:{reasons}.",
            figures={
                "failing": Figure(f"time() - {_SINCE}"),
                "reasons": Listing(
                    f"{increase('asterisk_fax_failures_total', '3d')} >= 0.5", by="reason"
                ),
            },
            comment="""
From the first of them to the last a night must have passed: somebody who dials a wrong number all
afternoon is no reason. Whether there was one fax on each day or a thousand is the same here.
""",
        ),
    ),
    comment="Faxes so few that no share of them is evidence: that none succeeds any more is.",
)
