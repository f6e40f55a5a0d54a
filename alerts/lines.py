"""Lines that are bad, or get slower."""

from typing import Final

from alerts.promql import increase
from alerts.rules import Alert, Figure, Group, Record
from alerts.thresholds import (
    BAD_LINES,
    BAD_LINES_FACTOR,
    FAXES,
    PAGE_DURATION_FACTOR,
    PAGES,
    RATE_FALLBACKS,
)

SECONDS: Final = "asterisk_fax_page_duration_seconds"
DASHBOARD: Final = "asterisk-fax-line-quality"

GROUP: Final = Group(
    "asterisk-fax-lines",
    (
        Record(
            "pbx:asterisk_fax_bad_lines:increase1h",
            increase("asterisk_fax_bad_lines_total", "1h", "operation", "state"),
            "Bad lines. A rejected page has bad lines and does not count as received.",
        ),
        Record(
            "pbx:asterisk_fax_sessions_with_bad_lines:increase1h",
            """\
  sum without (operation) (
    max without (replica) (increase(asterisk_fax_session_bad_lines_count[1h]))
  )
- ignoring (le)
  sum without (operation) (
    max without (replica) (increase(asterisk_fax_session_bad_lines_bucket{le="0.0"}[1h]))
  )
""",
            "One fax alone, however bad, is its sender's line and no trunk of ours.",
        ),
        Record(
            "pbx:asterisk_fax_pages_received_or_rejected:increase1h",
            """\
  sum without (operation, state) (
    max without (replica) (increase(asterisk_fax_pages_received_total[1h]))
  )
+
  sum without (operation) (
    max without (replica) (increase(asterisk_fax_pages_rejected_total[1h]))
  )
""",
        ),
        Record(
            "pbx:asterisk_fax_bad_lines_per_page:ratio1h",
            """\
  pbx:asterisk_fax_bad_lines:increase1h
/
  clamp_min(pbx:asterisk_fax_pages_received_or_rejected:increase1h, 1)
""",
        ),
        Record(
            "pbx:asterisk_fax_bad_lines_per_page:ratio1d_offset1h",
            """\
  sum without (operation, state) (
    max without (replica) (increase(asterisk_fax_bad_lines_total[1d] offset 1h))
  )
/
  clamp_min(
      sum without (operation, state) (
        max without (replica) (increase(asterisk_fax_pages_received_total[1d] offset 1h))
      )
    +
      sum without (operation) (
        max without (replica) (increase(asterisk_fax_pages_rejected_total[1d] offset 1h))
      ),
    1
  )
or ignoring (rules)
  0 * pbx:asterisk_fax_bad_lines_per_page:ratio1h
""",
            """
The day before that hour, so that what rises is not in what it is compared to. A day without a fax,
or before the exporter was there, reads 0: then the threshold alone decides.
""",
        ),
        Record(
            "pbx_operation:asterisk_fax_sessions_ended:increase1h",
            increase("asterisk_fax_sessions_ended_total", "1h"),
            "Lines that get slower.",
        ),
        Record(
            "pbx_operation:asterisk_fax_rate_fallbacks:increase1h",
            increase("asterisk_fax_rate_fallbacks_total", "1h"),
        ),
        Record(
            "pbx_operation:asterisk_fax_page_duration_seconds:count1h",
            increase(f"{SECONDS}_count", "1h"),
        ),
        Record(
            "pbx_operation:asterisk_fax_page_duration_seconds:mean1h",
            f"""\
  {increase(f"{SECONDS}_sum", "1h")}
/ ignoring (rules)
  clamp_min(pbx_operation:asterisk_fax_page_duration_seconds:count1h, 1)
""",
        ),
        Record(
            "pbx_operation:asterisk_fax_page_duration_seconds:count1d_offset1h",
            f"max without (replica) (increase({SECONDS}_count[1d] offset 1h))",
        ),
        Record(
            "pbx_operation:asterisk_fax_page_duration_seconds:mean1d_offset1h",
            f"""\
  max without (replica) (increase({SECONDS}_sum[1d] offset 1h))
/ ignoring (rules)
  clamp_min(pbx_operation:asterisk_fax_page_duration_seconds:count1d_offset1h, 1)
""",
        ),
        Record(
            "pbx_operation:asterisk_fax_ecm_sessions:sum",
            "sum without (state) (max without (replica) (asterisk_fax_ecm_sessions))",
        ),
        Alert(
            "AsteriskFaxBadLinesRising",
            f"""\
  pbx:asterisk_fax_bad_lines_per_page:ratio1h > {BAD_LINES}
and
  pbx:asterisk_fax_bad_lines_per_page:ratio1h
  > {BAD_LINES_FACTOR}
    * pbx:asterisk_fax_bad_lines_per_page:ratio1d_offset1h
and
  pbx:asterisk_fax_sessions_with_bad_lines:increase1h >= {FAXES}
""",
            wait="10m",
            severity="warning",
            summary="Faxes received at {labels.instance} have more bad lines than the day before",
            description="{lines} bad lines on {pages} pages in the past hour: {value:.1f} a page, "
            "after {before:.1f} in the day before (0.0 also if no page came). "
            "Faxes with bad lines: {faxes}.",
            figures={
                "lines": Figure("pbx:asterisk_fax_bad_lines:increase1h"),
                "pages": Figure("pbx:asterisk_fax_pages_received_or_rejected:increase1h"),
                "before": Figure("pbx:asterisk_fax_bad_lines_per_page:ratio1d_offset1h"),
                "faxes": Figure("pbx:asterisk_fax_sessions_with_bad_lines:increase1h"),
            },
            dashboard=DASHBOARD,
        ),
        Alert(
            "AsteriskFaxRatesFallingBack",
            f"""\
  pbx_operation:asterisk_fax_rate_fallbacks:increase1h
  > {RATE_FALLBACKS}
    * pbx_operation:asterisk_fax_sessions_ended:increase1h
and
  pbx_operation:asterisk_fax_sessions_ended:increase1h >= {FAXES}
and
  pbx_operation:asterisk_fax_rate_fallbacks:increase1h >= {FAXES}
""",
            wait="15m",
            severity="warning",
            summary="Data rates fall back at {labels.instance}: {labels.operation}",
            description="The data rate went down {value} times in {sessions} sessions "
            "({labels.operation}) of the past hour.",
            figures={"sessions": Figure("pbx_operation:asterisk_fax_sessions_ended:increase1h")},
            dashboard=DASHBOARD,
        ),
        Alert(
            "AsteriskFaxPagesSlow",
            f"""\
  pbx_operation:asterisk_fax_page_duration_seconds:mean1h
  > {PAGE_DURATION_FACTOR}
    * pbx_operation:asterisk_fax_page_duration_seconds:mean1d_offset1h
and
  pbx_operation:asterisk_fax_page_duration_seconds:count1h >= {PAGES}
and
  pbx_operation:asterisk_fax_page_duration_seconds:count1d_offset1h >= {PAGES}
and
  pbx_operation:asterisk_fax_sessions_ended:increase1h >= {FAXES}
and
  max_over_time(pbx_operation:asterisk_fax_ecm_sessions:sum[1h]) > 0
""",
            wait="15m",
            severity="warning",
            summary="Pages with ECM take longer at {labels.instance}: {labels.operation}",
            description="{value:.1f} s a page over {pages} pages ({labels.operation}) of the past "
            "hour, after {before:.1f} s in the day before. With ECM a damaged line is sent again, "
            "and shows only as time.",
            figures={
                "pages": Figure("pbx_operation:asterisk_fax_page_duration_seconds:count1h"),
                "before": Figure(
                    "pbx_operation:asterisk_fax_page_duration_seconds:mean1d_offset1h"
                ),
            },
            dashboard=DASHBOARD,
        ),
    ),
    comment="Lines that are bad, or get slower.",
)
