"""The rules as a file of Prometheus: for its operator to read and to edit, so with comments."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from alerts import templates
from alerts.promql import RULES, chosen
from alerts.rules import Alert, Group, Record

_WIDTH: Final = 100


def rules_file(header: str, groups: Sequence[Group]) -> str:
    """The content of a rules file, which begins with `header` as a comment."""
    lines = [*_comment(header, 0), "", "groups:"]
    for group in groups:
        if group.rules:
            lines += [*_comment(group.comment, 2), f"  - name: {group.name}"]
            lines += [f"    interval: {group.interval}", "    rules:"]
            for rule in group.rules:
                lines += _alert(rule) if isinstance(rule, Alert) else _record(rule)
            lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def in_order(case: str, groups: Sequence[Group]) -> str:
    """A file of cases for promtool, with the groups in the order in which it is to evaluate them.
    Left to itself it would take another one, and one group have late what another one records."""
    order = "".join(f"  - {group.name}\n" for group in groups if group.rules)
    return re.sub(r"(?<=^group_eval_order:\n)(?:  - \S+\n)+", order, case, flags=re.MULTILINE)


def _record(rule: Record) -> Iterator[str]:
    yield from _comment(rule.comment, 6)
    yield f"      - record: {rule.name}"
    yield from _expression(rule.expression)
    yield from _labels(_own() | dict(rule.labels), block=bool(rule.labels))


def _alert(rule: Alert) -> Iterator[str]:
    yield ""
    yield from _comment(rule.comment, 6)
    yield f"      - alert: {rule.name}"
    yield from _expression(rule.expression)
    if rule.wait:
        yield f"        for: {rule.wait}"
    if rule.linger:
        yield f"        keep_firing_for: {rule.linger}"
    yield from _labels({"severity": rule.severity} | _own())
    yield "        annotations:"
    yield f"          summary: {_quoted(templates.summary(rule))}"
    yield "          description: >-"
    yield from _wrapped(templates.description(rule), 12)
    for key, text in (
        ("runbook_url", templates.runbook_url(rule)),
        ("dashboard_url", templates.dashboard_url(rule)),
    ):
        yield f"          {key}: >-"
        yield f"            {text}"


def _own() -> dict[str, str]:
    label, value = RULES.split("=")
    return {label: value.strip('"')}


def _expression(expression: str) -> Iterator[str]:
    text = _broken(chosen(textwrap.dedent(expression).strip("\n")))
    if "\n" not in text and "#" not in text and len(text) < _WIDTH:
        yield f"        expr: {text}"
        return
    # YAML takes the indentation from the first line, unless it is told.
    yield f"        expr: |{2 if text.startswith(' ') else ''}"
    yield from textwrap.indent(text, " " * 10).splitlines()


def _broken(expression: str) -> str:
    """What the matchers made too long for a line, with the comparison on one of its own."""
    lines = [
        re.sub(r"^( *)(\S.*?) ([<>]=? .*scalar\()", r"\1\2\n\1\3", line)
        if len(line) > _WIDTH - 10
        else line
        for line in expression.splitlines()
    ]
    return "\n".join(lines)


def _labels(labels: Mapping[str, str], *, block: bool = False) -> Iterator[str]:
    """On one line, or one for each, where a site is to write its own values."""
    pairs = [f"{name}: {value or _quoted(value)}" for name, value in labels.items()]
    if not block:
        yield f"        labels: {{{', '.join(pairs)}}}"
        return
    yield "        labels:"
    yield from (f"          {pair}" for pair in pairs)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _comment(text: str, indent: int) -> list[str]:
    """Its paragraphs wrapped; what is indented, such as an example, stays as it is."""
    start = " " * indent + "#"
    made: list[str] = []
    for paragraph in text.strip("\n").split("\n\n"):
        made += [start] if made else []
        if paragraph.startswith(" "):
            made += [f"{start} {line}" for line in paragraph.splitlines()]
        elif paragraph:
            made += textwrap.wrap(
                paragraph,
                _WIDTH,
                initial_indent=start + " ",
                subsequent_indent=start + " ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    return made


def _wrapped(text: str, indent: int) -> list[str]:
    start = " " * indent
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )
