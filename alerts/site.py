"""What a site sets: the first two groups of the rules file."""

from typing import Final

from alerts.rules import Group, Record
from alerts.templates import LINKS
from alerts.thresholds import THRESHOLDS

NUMBERS: Final = Group(
    "asterisk-fax-thresholds",
    [Record(one.series, f"vector({one.value:g})", one.comment) for one in THRESHOLDS],
)
GROUP: Final = Group(
    "asterisk-fax-site",
    (
        Record(
            LINKS,
            "vector(1)",
            """
Where the alerts' links lead: what stands before docs/alerting.md in runbook_url, such as
https://git.example/asterisk-fax-exporter/blob/main/ with a slash at its end, and the address of
Grafana in dashboard_url, such as https://grafana.example without one. Empty, they are relative.
""",
            {"runbooks": "", "dashboards": ""},
        ),
        Record(
            "pbx:asterisk_fax_capacity:sessions",
            "0 * group without (replica) (asterisk_fax_up)",
            """
Faxes that a PBX can carry at once; 0 is not told, and then there is no alert. To tell it for
one PBX, and another number for the rest:

  30 * group without (replica) (asterisk_fax_up{job!="", instance="fax-berlin"})
  or 60 * group without (replica) (asterisk_fax_up{job!=""})
""",
        ),
        Record(
            "target:asterisk_fax_scrape:up",
            """\
  up{job=~"asterisk-fax|asterisk-fax-exporter"}
or
    up
  and on (job, instance)
    (
        present_over_time(asterisk_fax_up[1d])
      or
        present_over_time(asterisk_fax_exporter_build_info[1d])
    )
or
    up == 0
  and on (job, instance)
    present_over_time(target:asterisk_fax_scrape:up[1d])
""",
            """
Which scrapes are those of the exporter: of jobs with the names of the documentation, even if they
never succeeded; of others those that had the exporter's metrics within a day, and for as long as
they fail from then on. Put the names of your own jobs into the first line.
""",
        ),
        Record(
            "pbx:asterisk_fax_scrape:absent",
            'absent(up{job="asterisk-fax"}) == 0',
            """
What must always be scraped. To be told when service discovery no longer finds it, name it by the
labels that the alert is to have, and leave out the == 0, by which it is switched off:

  absent(up{job="asterisk-fax", instance="fax-berlin"})
  or absent(up{job="asterisk-fax", instance="fax-paris"})
""",
        ),
        Record(
            "pbx:asterisk_fax_scrape:up", "max without (replica) (target:asterisk_fax_scrape:up)"
        ),
    ),
)
