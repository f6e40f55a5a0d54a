"""Faxes of which nobody tells how they ended."""

from typing import Final

from alerts.promql import increase, lacked
from alerts.rules import Alert, Figure, Group, Record
from alerts.thresholds import RESULTS_MISSING

COMPLETED: Final = "asterisk_fax_completed_total"
UNOBSERVED: Final = "asterisk_fax_unobserved_completions_total"

GROUP: Final = Group(
    "asterisk-fax-results",
    (
        *(
            Record(f"pbx:{counter.removesuffix('_total')}:increase{time}", grown(counter, time))
            for time in ("15m", "2h")
            for counter, grown in ((COMPLETED, increase), (UNOBSERVED, lacked))
        ),
        Record(
            "pbx:asterisk_fax_results_unknown:increase1h",
            lacked("asterisk_fax_results_unknown_total", "1h", "operation"),
        ),
        Record(
            "pbx:asterisk_fax_finished:increase1h",
            increase("asterisk_fax_finished_total", "1h", "operation", "transport"),
        ),
        Alert(
            "AsteriskFaxEventsMissing",
            f"""\
  pbx:asterisk_fax_unobserved_completions:increase15m
  > {RESULTS_MISSING} * clamp_min(pbx:asterisk_fax_completed:increase15m, 1)
or
    pbx:asterisk_fax_unobserved_completions:increase2h
    > {RESULTS_MISSING} * pbx:asterisk_fax_completed:increase2h
  and ignoring (rules)
    min without (replica) (changes({UNOBSERVED}[2h])) >= 3
or ignoring (rules)
    min without (replica, collector) (1 - asterisk_fax_collector_up{{collector="events"}}) == 1
  and
    max without (replica) (asterisk_fax_up) == 1
""",
            wait="30m",
            severity="warning",
            summary="Asterisk at {labels.instance} completes faxes and sends no event for them",
            description="{unobserved} of {completed} completions of the past two hours had no "
            "event (0 of 0: the last one before had none). Whether those faxes failed is not "
            "known.",
            figures={
                "unobserved": Figure("pbx:asterisk_fax_unobserved_completions:increase2h"),
                "completed": Figure("pbx:asterisk_fax_completed:increase2h"),
            },
            dashboard="asterisk-fax-exporter-health",
            comment="""
A lost connection makes one step in 15 minutes, and is not what this is about. Where faxes are so
few that no 15 minutes are followed by the next, three steps in two hours are.
""",
        ),
        Alert(
            "AsteriskFaxResultsUnknown",
            f"""\
pbx:asterisk_fax_results_unknown:increase1h
> {RESULTS_MISSING} * pbx:asterisk_fax_finished:increase1h
""",
            wait="15m",
            severity="warning",
            summary="Asterisk at {labels.instance} does not say whether faxes succeeded",
            description="{value} of {finished} faxes that ended in the past hour had no FAXSTATUS. "
            "The alert on failures is blind to them.",
            figures={"finished": Figure("pbx:asterisk_fax_finished:increase1h")},
            dashboard="asterisk-fax-exporter-health",
        ),
    ),
    comment="Faxes of which nobody tells how they ended.",
)
