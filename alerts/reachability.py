"""Who cannot be reached: the exporter, Asterisk, or a part of what Asterisk tells."""

from typing import Final

from alerts.promql import increase, lacked
from alerts.rules import Alert, Figure, Group, Listing, Record
from alerts.thresholds import LATE_POLLS, MISSING

REASONS: Final = Listing(
    f"{increase('asterisk_fax_poll_failures_total', '10m')} > 0",
    by="reason",
    but=("collector",),
    none="none counted",
)


def _away(series: str) -> str:
    """Where it is 0, or much of half an hour, in two pieces or more."""
    return f"""\
  {series} == 0
or
    avg_over_time({series}[30m]) < 1 - {MISSING}
  and
    changes({series}[30m]) >= 4
"""


def _stands_still(timestamp: str, time: str) -> str:
    """Where three scrapes or more have all had the same."""
    return f"""\
      max without (replica) (changes({timestamp}[{time}])) == 0
    and
      max without (replica) (count_over_time({timestamp}[{time}])) > 2"""


_LAST_POLL: Final = "asterisk_fax_last_poll_timestamp_seconds"

GROUP: Final = Group(
    "asterisk-fax-reachability",
    (
        Record("pbx:asterisk_fax_up:max", "max without (replica) (asterisk_fax_up)"),
        Alert(
            "AsteriskFaxExporterDown",
            _away("pbx:asterisk_fax_scrape:up"),
            wait="5m",
            severity="critical",
            summary="Prometheus gets no fax metrics of {labels.instance}",
            description="{share:.0f}% of the scrapes of job {labels.job} in the past hour "
            "succeeded. What happens there while they fail raises no other alert.",
            figures={"share": Figure("100 * avg_over_time(pbx:asterisk_fax_scrape:up[1h])")},
            dashboard="asterisk-fax-exporter-health",
            comment="""
What comes and goes is never away for as long as these two wait: much of half an hour, in two
pieces or more, is away too.
""",
        ),
        Alert(
            "AsteriskFaxExporterGone",
            "pbx:asterisk_fax_scrape:absent == 1",
            wait="10m",
            severity="critical",
            summary="Prometheus no longer scrapes {labels.job} {labels.instance}",
            description="Service discovery has not had it for {missing:duration} of the past day. "
            "What happens there raises no other alert.",
            figures={"missing": Figure("60 * count_over_time(pbx:asterisk_fax_scrape:absent[1d])")},
            dashboard="asterisk-fax-exporter-health",
            comment="""
Only of what the second group names: whatever else is gone may have been taken away on purpose.
""",
        ),
        Alert(
            "AsteriskFaxReplicaDown",
            """\
  target:asterisk_fax_scrape:up{replica!=""} == 0
and ignoring (replica)
  pbx:asterisk_fax_scrape:up == 1
""",
            wait="15m",
            severity="warning",
            summary="One of the exporters that watch {labels.instance} is down: {labels.replica}",
            description="{share}% of its scrapes in the past hour succeeded. Nothing is missed "
            "while another one watches.",
            figures={"share": Figure("100 * avg_over_time(target:asterisk_fax_scrape:up[1h])")},
            dashboard="asterisk-fax-exporter-health",
        ),
        Alert(
            "AsteriskFaxPbxUnreachable",
            _away("pbx:asterisk_fax_up:max"),
            wait="3m",
            severity="critical",
            summary="The exporter cannot poll Asterisk at {labels.instance}",
            description="Failed attempts of the past 10 minutes, by reason:{reasons}.",
            figures={"reasons": REASONS},
            dashboard="asterisk-fax-exporter-health",
        ),
        Alert(
            "AsteriskFaxNotPolling",
            f"""\
  time() - max without (replica) ({_LAST_POLL})
and
  max without (replica) (asterisk_fax_up) == 1
and
  (
{_stands_still(_LAST_POLL, "5m")}
  or
{_stands_still(_LAST_POLL, "20m")}
  )
""",
            wait="2m",
            severity="critical",
            summary="The exporter has stopped polling {labels.instance} and says it is up",
            description="The last poll ended {value:duration} ago. What the metrics of this PBX "
            "say is as old.",
            dashboard="asterisk-fax-exporter-health",
            comment="""
Three scrapes with the same last poll, and not one, which says nothing: with a scrape every few
minutes they take 20 minutes.
""",
        ),
        Alert(
            "AsteriskFaxCollectorDown",
            """\
  max without (replica) (asterisk_fax_collector_up{collector=~"sessions|stats"}) == 0
and ignoring (collector)
  max without (replica) (asterisk_fax_up) == 1
""",
            wait="10m",
            severity="warning",
            summary="Asterisk at {labels.instance} does not give {labels.collector}",
            description="Refused or incomplete answers of the past 10 minutes, by "
            "reason:{reasons}. Alerts that need {labels.collector} cannot fire for this PBX.",
            figures={"reasons": REASONS},
            dashboard="asterisk-fax-exporter-health",
        ),
        Alert(
            "AsteriskFaxConfigReloadFailed",
            """\
  time() - asterisk_fax_exporter_config_last_reload_success_timestamp_seconds
and
  asterisk_fax_exporter_config_last_reload_successful == 0
""",
            wait="5m",
            severity="warning",
            summary="The file of targets of {labels.instance} has a fault",
            description="The exporter goes on with the targets as they were {value:duration} ago.",
            dashboard="asterisk-fax-exporter-health",
            comment="""
What follows is of each exporter, and not of the PBXs that it watches: of two that watch the same
PBX each has its own files.
""",
        ),
        Alert(
            "AsteriskFaxWebConfigReloadFailed",
            """\
  time() - asterisk_fax_exporter_web_config_last_reload_success_timestamp_seconds
and
  asterisk_fax_exporter_web_config_last_reload_successful == 0
""",
            wait="5m",
            severity="warning",
            summary="The file of TLS and users of {labels.instance} has a fault",
            description="The exporter goes on with the certificates and users as they were "
            "{value:duration} ago.",
            dashboard="asterisk-fax-exporter-health",
        ),
        Alert(
            "AsteriskFaxWebProcessEnds",
            "changes(asterisk_fax_exporter_web_restarts_total[1h]) > 1",
            wait="5m",
            severity="warning",
            summary="The web process of {labels.instance} ends again and again",
            description="It was started again {value} times in the past hour. Polls go on, but "
            "each time scrapes are missing.",
            dashboard="asterisk-fax-exporter-health",
        ),
        Alert(
            "AsteriskFaxExporterOverloaded",
            "asterisk_fax_exporter_keeps_up == 0",
            wait="5m",
            severity="warning",
            summary="The exporter {labels.instance} has more PBXs than it can poll in time",
            description="Polls of its {targets} PBXs began {lateness:.1f} s late on average in the "
            "past 10 minutes. It was busy for {busy:percent} of the last minute. Bad lines may be "
            "missed.",
            figures={
                "targets": Figure("asterisk_fax_exporter_targets"),
                "lateness": Figure(
                    "rate(asterisk_fax_exporter_poll_lateness_seconds_sum[10m])"
                    " / rate(asterisk_fax_exporter_poll_lateness_seconds_count[10m])"
                ),
                "busy": Figure("asterisk_fax_exporter_loop_busy_ratio"),
            },
            dashboard="asterisk-fax-exporter-health",
        ),
        Alert(
            "AsteriskFaxPollsLate",
            f"""\
{lacked("asterisk_fax_late_polls_total", "30m")} > {LATE_POLLS}
""",
            wait="10m",
            severity="warning",
            summary="Polls of {labels.instance} come too late to see all bad lines",
            description="{value} polls of the past 30 minutes came more than a second too late "
            "while a page was being received.",
            dashboard="asterisk-fax-exporter-health",
        ),
    ),
    comment="Who cannot be reached: the exporter, Asterisk, or a part of what Asterisk tells.",
)
