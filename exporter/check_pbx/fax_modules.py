"""Findings about res_fax: whether it is loaded, which technology runs its faxes (it should be
Spandsp), and its default for ECM, which hides bad lines."""

from typing import Final

from exporter.ami import read_event
from exporter.check_pbx import manager_conf
from exporter.check_pbx.asking import RES_FAX_SPANDSP, Seen, message_of
from exporter.check_pbx.report import Finding, Lines, Verdict
from exporter.check_pbx.unread import why_unread
from exporter.fax import Version, printable
from exporter.polling import troubles

_SPANDSP: Final = "Spandsp"


def res_fax(seen: Seen, version: Version) -> Finding:
    """Whether the module with the fax actions is loaded."""
    for action in ("FAXSessions", "FAXStats"):
        answer = seen.answers[action]
        if answer.success:
            return Finding("res_fax", Verdict.OK, "loaded")
        if answer.denied or answer.lost:
            continue
        if not answer.unknown:
            text = f"{action}: {message_of(answer)}; not an answer that Asterisk's res_fax gives"
            do = "see Asterisk's log, and who answers there if it is a proxy"
            return Finding("res_fax", Verdict.WRONG, text, do=do)
        text = f"{action}: {printable(answer.message)}"
        if version.before_fax_actions:
            text += (
                f"; Asterisk {version.major} has none of FAXSessions, FAXSession and FAXStats, "
                "they came with 13.0.0; only that faxes end is known"
            )
            return Finding("res_fax", Verdict.WRONG, text, do="use Asterisk 13 or newer")
        lines = Lines("modules.conf", "modules", ("load = res_fax.so",))
        text += f"; {troubles.RES_FAX_MISSING}"
        return Finding("res_fax", Verdict.WRONG, text, lines, _without_noload("res_fax.so"))
    return Finding("res_fax", Verdict.UNKNOWN, "cannot be told without a write class")


def _without_noload(module: str) -> str:
    """Advice on the line that would keep the module out again at Asterisk's next start."""
    return f"take a line 'noload = {module}' out of modules.conf: it goes before every load line"


def spandsp(seen: Seen) -> Finding:
    """Whether faxes are run by the one technology that FAXSession tells of."""
    subject = "res_fax_spandsp"
    lines = Lines("modules.conf", "modules", ("load = res_fax_spandsp.so",))
    listed = [read_event(event) for event in seen.answers["FAXSessions"].events]
    technologies = {printable(str(headers.get("Technology"))) for headers in listed}
    if others := sorted(technologies - {_SPANDSP}):
        text = (
            f"faxes are run by {', '.join(others)}, of which FAXSession tells nothing: pages, bad "
            "lines and data rates of these are unknown, results are not"
        )
        do = "let res_fax_spandsp run them, if you can do without that technology"
        return Finding(subject, Verdict.WRONG, text, do=do)
    if technologies:
        return Finding(subject, Verdict.OK, f"faxes are run by {_SPANDSP}")
    if seen.values.get(RES_FAX_SPANDSP) == "1":
        return Finding(subject, Verdict.OK, "loaded")
    if seen.values.get(RES_FAX_SPANDSP) == "0":
        text = "not loaded, and without it, or another technology, res_fax runs no fax"
        return Finding(subject, Verdict.WRONG, text, lines, _without_noload("res_fax_spandsp.so"))
    why, do, commands = why_unread(seen, "func_module")
    text = f"cannot be told while no fax runs, since {why}"
    return Finding(subject, Verdict.UNKNOWN, text, lines, do, commands)


def ecm(seen: Seen) -> Finding:
    """Whether error correction is on unless a call sets it, and what that does to bad lines."""
    if not seen.reads_files:
        why, _, _ = why_unread(seen, "func_config")
        text = f"cannot be told, since {why}; on is Asterisk's default"
        return Finding("ECM", Verdict.UNKNOWN, text)
    text = seen.value("res_fax.conf", "general", "ecm")
    if text and not manager_conf.is_on(text):
        return Finding("ECM", Verdict.OK, "off unless a call sets it: bad lines are counted")
    text = (
        "on unless a call sets it: damaged lines are sent again, and show only as pages that take "
        "longer"
    )
    return Finding("ECM", Verdict.OK, text)
