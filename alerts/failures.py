"""Faxes that fail."""

from typing import Final

from alerts.promql import increase
from alerts.rules import Alert, Figure, Group, Listing, Record
from alerts.thresholds import FAILURES, FAILURES_OF_A_DAY, FAXES

FAILED: Final = "asterisk_fax_failures_total"
FINISHED: Final = "asterisk_fax_finished_total"

GROUP: Final = Group(
    "asterisk-fax-failures",
    (
        Record(
            "pbx_operation:asterisk_fax_finished:increase1h", increase(FINISHED, "1h", "transport")
        ),
        Record(
            "pbx_operation_reason:asterisk_fax_failures:increase1h",
            increase(FAILED, "1h"),
        ),
        Record(
            "pbx_operation:asterisk_fax_failures:increase1h",
            "sum without (reason) (pbx_operation_reason:asterisk_fax_failures:increase1h)",
        ),
        Record(
            "pbx_operation_reason:asterisk_fax_failures_per_finished:ratio1h",
            """\
  pbx_operation_reason:asterisk_fax_failures:increase1h
/ ignoring (reason) group_left ()
  clamp_min(pbx_operation:asterisk_fax_finished:increase1h, 1)
""",
            comment="clamp_min is for hours without a fax, in which a quotient would be NaN.",
        ),
        Record(
            "pbx_operation:asterisk_fax_failures_per_finished:ratio1h",
            """\
  pbx_operation:asterisk_fax_failures:increase1h
/
  clamp_min(pbx_operation:asterisk_fax_finished:increase1h, 1)
""",
        ),
        Record(
            "pbx_operation:asterisk_fax_finished:increase1d", increase(FINISHED, "1d", "transport")
        ),
        Record("pbx_operation:asterisk_fax_failures:increase1d", increase(FAILED, "1d", "reason")),
        Alert(
            "AsteriskFaxFailureRatioHigh",
            f"""\
(
      pbx_operation_reason:asterisk_fax_failures_per_finished:ratio1h > {FAILURES}
    and
      pbx_operation_reason:asterisk_fax_failures:increase1h >= {FAXES}
  or
    label_replace(
        pbx_operation:asterisk_fax_failures_per_finished:ratio1h > {FAILURES}
      unless ignoring (reason)
        (
            min_over_time(
              pbx_operation_reason:asterisk_fax_failures_per_finished:ratio1h[10m]
            )
            > {FAILURES}
          and
            min_over_time(pbx_operation_reason:asterisk_fax_failures:increase1h[10m])
            >= {FAXES}
        ),
      "reason", "several", "", ""
    )
)
and ignoring (reason)
  pbx_operation:asterisk_fax_failures:increase1h >= {FAXES}
""",
            wait="10m",
            linger="10m",
            severity="critical",
            summary="Faxes fail at {labels.instance}: {labels.operation}, {labels.reason}",
            description="{labels.reason}: {value:percent} of the {finished} faxes "
            "({labels.operation}) that ended in the past hour. All that failed:{reasons}.",
            figures={
                "finished": Figure(
                    "pbx_operation:asterisk_fax_finished:increase1h", but=("reason",)
                ),
                "reasons": Listing(
                    "pbx_operation_reason:asterisk_fax_failures:increase1h >= 0.5",
                    by="reason",
                    but=("reason",),
                ),
            },
            comment="""
One alert for each reason that is evidence and too frequent by itself, or one with the reason
"several". A reason that comes and goes around the threshold does not end "several", or neither
would fire.
""",
        ),
        Alert(
            "AsteriskFaxMostFaxesFail",
            f"""\
  pbx_operation:asterisk_fax_failures:increase1d
/
  clamp_min(pbx_operation:asterisk_fax_finished:increase1d, 1)
> {FAILURES_OF_A_DAY}
and
  pbx_operation:asterisk_fax_failures:increase1d >= {FAXES}
and ignoring (rules)
  {increase(FAILED, "6h", "reason")}
  > {FAILURES_OF_A_DAY}
    * {increase(FINISHED, "6h", "transport")}
unless
  pbx_operation:asterisk_fax_failures:increase1h >= {FAXES}
""",
            wait="10m",
            severity="critical",
            summary="Most faxes fail at {labels.instance}: {labels.operation}",
            description="{value:percent} of the {finished} faxes ({labels.operation}) that ended "
            "in the past day. All that failed:{reasons}.",
            figures={
                "finished": Figure("pbx_operation:asterisk_fax_finished:increase1d"),
                "reasons": Listing(f"{increase(FAILED, '1d')} >= 0.5", by="reason"),
            },
            comment="""
Where faxes are so few that no hour has enough of them. It ends as soon as of the past six hours'
faxes most are good, or none came.
""",
        ),
    ),
    comment="Faxes that fail.",
)
