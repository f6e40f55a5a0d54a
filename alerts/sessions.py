"""Sessions that hang, and too many of them."""

from typing import Final

from alerts.rules import Alert, Figure, Group, Record
from alerts.thresholds import CAPACITY_USED, PROGRESS_SECONDS

GROUP: Final = Group(
    "asterisk-fax-sessions",
    (
        Record(
            "pbx_operation:asterisk_fax_progress_age_seconds:max",
            """\
min without (replica) (
    asterisk_fax_last_poll_timestamp_seconds
  - ignoring (operation) group_right ()
    asterisk_fax_oldest_progress_timestamp_seconds{operation=~"send|receive"}
)
""",
            """
Both times are of the exporter's clock, so that Prometheus' may be another. A gateway lasts as long
as its call and a V.21 detector too: neither has to bring pages.
""",
        ),
        Record(
            "pbx:asterisk_fax_sessions:sum",
            """\
sum without (operation, state) (
  max without (replica) (asterisk_fax_sessions{operation=~"send|receive|gateway"})
)
""",
        ),
        Alert(
            "AsteriskFaxSessionStuck",
            f"pbx_operation:asterisk_fax_progress_age_seconds:max > {PROGRESS_SECONDS}",
            wait="1m",
            severity="warning",
            summary="A fax is stuck at {labels.instance}: {labels.operation}",
            description="A session ({labels.operation}) has had no new page for {value:duration}.",
        ),
        Alert(
            "AsteriskFaxSessionsNearCapacity",
            f"""\
  pbx:asterisk_fax_sessions:sum
/
  (pbx:asterisk_fax_capacity:sessions > 0)
> {CAPACITY_USED}
""",
            wait="5m",
            severity="warning",
            summary="{labels.instance} has nearly as many faxes as it can carry",
            description="{sessions} of {capacity} faxes at once ({value:percent}); V.21 detectors "
            "are not among them.",
            figures={
                "sessions": Figure("pbx:asterisk_fax_sessions:sum"),
                "capacity": Figure("pbx:asterisk_fax_capacity:sessions"),
            },
        ),
    ),
    comment="Sessions that hang, and too many of them.",
)
