"""Fax log: which faxes they were, beside how many; for a Loki that has the lines of deploy/loki.

A dashboard of its own: where there is no Loki, nothing of the others asks for one.
"""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import logs, loki, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as shape
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import loki as query_model

from grafana.boards import board, chosen_by, filled
from grafana.drill import FAX_LOG, LINE_QUALITY, PEERS, by_series
from grafana.figures import figures, stat_panel
from grafana.logql import counted, lines
from grafana.panels import GREEN, ORANGE, Panel, Query, bars, ref_id
from grafana.promql import OPERATION, REASON, bar, by, count

LOKI: Final = model.DataSourceRef(type_val="loki", uid="${loki}")

_FAILURES: Final = "asterisk_fax_failures_total"
_FAILED: Final = ('result="failed"', REASON)
_NO_LINES: Final = "No line of the log, or no data source"


def dashboard() -> build.Dashboard:
    """The dashboard."""
    made = board(
        FAX_LOG,
        "Fax log",
        "Which faxes were those? The exporter's line for each, beside the metrics that count them.",
        since="now-7d",
        more=_chosen_by(),
    )
    return filled(made, [], {"The log beside the metrics": [*_counts(), _faxes()]})


def _chosen_by() -> Sequence[Builder[model.VariableModel]]:
    return [
        chosen_by("operation", "asterisk_fax_finished_total").all_value(".+"),
        # All are those without one too: faxes that did not fail.
        chosen_by("reason", _FAILURES).all_value(".*"),
        build.DatasourceVariable("loki").label("Log").type("loki"),
        build.CustomVariable("result")
        .label("Result")
        .values("success,failed,unknown")
        .multi(True)
        .include_all(True)
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"])),
        build.TextBoxVariable("uniqueid")
        .label("Uniqueid")
        .description("Or any other part of a line: a Linkedid, a peer, what Asterisk wrote")
        .default_value("")
        .current(model.VariableOption(selected=True, text="", value="")),
    ]


def _counts() -> list[Panel]:
    to_them = [
        by_series(FAX_LOG, "reason"),
        by_series(LINE_QUALITY, "reason"),
        by_series(PEERS, "reason"),
    ]
    known = (OPERATION,)
    return [
        figures(
            "Faxes, by the metrics",
            "Those of this period that ended, of the operations chosen. They know of no Uniqueid, "
            "and reasons and results choose none of them.",
            [
                Query(count("asterisk_fax_succeeded_total", *known), "ended well"),
                Query(count(_FAILURES, *known), "failed"),
                Query(count("asterisk_fax_results_unknown_total", *known), "result unknown"),
            ],
            width=10,
        ),
        _figures(
            "Faxes, by the log",
            "Lines of this period, as chosen above. Where none is left out there are as many as "
            "the metrics count, and one for each fax of whose end Asterisk sent no event. With "
            "--log.faxes=failed there are no others.",
            [
                Query(counted("$__range", f'result="{result}"', *reason), name)
                for result, name, reason in (
                    ("success", "ended well", ()),
                    ("failed", "failed", (REASON,)),
                    ("unknown", "result unknown", ()),
                )
            ],
        ),
        stat_panel(
            "Lines lost",
            "Those for which the exporter had no room, in this period: the file, the journal or "
            "standard error took none, and too many waited. Its log says why.",
            count("asterisk_fax_exporter_fax_lines_lost_total"),
            steps=((0, GREEN), (1, ORANGE)),
            no_value="No data, or --log.faxes=off",
            decimals=0,
        ),
        bars(
            "Why did they fail, by the metrics?",
            "Failed faxes, by the reason that Asterisk gave. A dot is a single fax with its "
            "Uniqueid, where Prometheus keeps exemplars. A click on a bar leads on.",
            [
                Query(
                    f"{bar(_FAILURES, OPERATION, REASON, into=by('reason'))} > 0",
                    "{{reason}}",
                    exemplars=True,
                )
            ],
            axis="faxes",
            no_value="No failure, or no data",
            links=to_them,
            width=12,
        ),
        _bars(
            "Why did they fail, by the log?",
            "Lines of failed faxes, by their reason, as chosen above. Less than the metrics count: "
            "lines were lost on their way, or by a full disk (see "
            "asterisk_fax_exporter_fax_lines_lost_total), or a Uniqueid is chosen.",
            Query(counted("$__interval", *_FAILED, by="reason"), "{{reason}}"),
        ),
    ]


def _faxes() -> Panel:
    return (
        logs.Panel()
        .title("The faxes")
        .description(
            "A line for each that is over or never began, the newest first; docs/fax-log.md says "
            "what its fields are. Uniqueid and Linkedid lead to it in CDR and CEL."
        )
        .datasource(LOKI)
        .with_target(_asked(Query(lines('result=~"$result"', REASON), ""), "range").max_lines(500))
        .show_time(True)
        .show_labels(False)
        .show_common_labels(False)
        .wrap_log_message(True)
        .prettify_log_message(False)
        .enable_log_details(True)
        .sort_order(shape.LogsSortOrder.DESCENDING)
        .dedup_strategy(shape.LogsDedupStrategy.NONE)
        .span(24)
        .height(16)
    )


def _asked(query: Query, kind: str, *, ref: int = 0) -> loki.Dataquery:
    return (
        loki.Dataquery()
        .expr(query.expression)
        .legend_format(query.legend)
        .query_type(kind)
        .ref_id(ref_id(ref))
        .datasource(LOKI)
        .editor_mode(query_model.QueryEditorMode.CODE)
    )


def _figures(title: str, description: str, queries: Sequence[Query]) -> stat.Panel:
    return (
        figures(title, description, [], no_value=_NO_LINES, width=10)
        .datasource(LOKI)
        .targets([_asked(query, "instant", ref=i) for i, query in enumerate(queries)])
    )


def _bars(title: str, description: str, query: Query) -> timeseries.Panel:
    return (
        bars(title, description, [], axis="faxes", no_value=_NO_LINES, width=12)
        .datasource(LOKI)
        .targets([_asked(query, "range")])
        # Of a time that is over, as Loki looks back from each point.
        .bar_alignment(shape.BarAlignment.BEFORE)
    )
