"""Links from a series or a row to the dashboard that says more of it.

Each takes along the data source, the filters and the period that are chosen, and sets the variables
that stand for what was clicked.
"""

from typing import Final

from grafana_foundation_sdk.models import dashboard as model

OVERVIEW: Final = "asterisk-fax-overview"
LINE_QUALITY: Final = "asterisk-fax-line-quality"
PEERS: Final = "asterisk-fax-peers"
HEALTH: Final = "asterisk-fax-exporter-health"
FAX_LOG: Final = "asterisk-fax-log"

_TITLES: Final = {
    OVERVIEW: "Overview",
    LINE_QUALITY: "Line quality",
    PEERS: "Peers",
    HEALTH: "Exporter health",
    FAX_LOG: "Fax log",
}


class DataLink(model.DashboardLink):
    """A link of a field, which has a title and an address alone."""

    def to_json(self) -> dict[str, object]:
        """As Grafana has it."""
        return {"title": self.title, "url": self.url}


def by_row(uid: str, **fields: str) -> DataLink:
    """To a dashboard from a row of a table; variables by the columns that they are taken from."""
    return _link(uid, {name: f"__data.fields.{column}" for name, column in fields.items()})


def by_series(uid: str, *labels: str, keep: tuple[str, ...] = ()) -> DataLink:
    """To a dashboard from a series; its labels have the names of the variables they set.

    `keep` are more variables, beside job and instance, that are chosen here and stay so.
    """
    return _link(uid, {label: f"__field.labels.{label}" for label in labels}, keep)


def _link(uid: str, taken: dict[str, str], keep: tuple[str, ...] = ()) -> DataLink:
    # A PBX's name alone need not tell it from those of another job.
    of = " and ".join({"instance": "PBX"}.get(name, name) for name in taken if name != "job")
    kept = [name for name in ("job", "instance", *keep) if name not in taken]
    url = "&".join(
        (
            f"/d/{uid}?${{datasource:queryparam}}",
            "${filters:queryparam}",
            "${__url_time_range}",
            *(f"${{{name}:queryparam}}" for name in kept),
            *(f"var-{name}=${{{value}:percentencode}}" for name, value in taken.items()),
        )
    )
    return DataLink(title=f"{_TITLES[uid]} of this {of}", url=url)
