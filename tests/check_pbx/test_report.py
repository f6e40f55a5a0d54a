"""How a report is printed."""

from exporter.check_pbx import Finding, Lines, Report, Verdict, text


def test_the_report_keeps_what_came_back_from_what_to_do_and_breaks_nothing_to_paste() -> None:
    lines = Lines("manager.conf", "fax", ("read = call", "write = call,reporting"))
    modules = Lines("modules.conf", "modules", ("load = res_fax.so", "load = res_fax_spandsp.so"))
    findings = (
        Finding("login", Verdict.OK, "user fax"),
        Finding(
            "read class", Verdict.WRONG, "missing " * 5 + "here", lines, "look twice", ("look a",)
        ),
        Finding("res_fax", Verdict.WRONG, "none", modules),
        Finding("filter", Verdict.UNKNOWN, "who knows", lines, "look on", ("look b",)),
        Finding("other", Verdict.UNKNOWN, "who", None, "look on", ("look b",)),
    )
    assert text(Report("fax-berlin", findings), 44).splitlines() == [
        "fax-berlin:",
        "  ok     login: user fax",
        "  WRONG  read class: missing missing missing",
        "         missing missing here",
        "         -> look twice",
        "                look a",
        "         -> add to manager.conf:",
        "                [fax](+)",
        "                read = call",
        "                write = call,reporting",
        "            then:",
        "                asterisk -rx 'manager reload'",
        "            and restart the exporter if it",
        "            runs: a login keeps the classes",
        "            and filters it had",
        "  WRONG  res_fax: none",
        "         -> add to modules.conf:",
        "                [modules](+)",
        "                load = res_fax.so",
        "                load = res_fax_spandsp.so",
        "            then:",
        "                asterisk -rx 'module load res_fax.so'",
        "                asterisk -rx 'module load res_fax_spandsp.so'",
        "  ?      filter: who knows",
        "         -> look on",
        "                look b",
        "         -> look for this in manager.conf:",
        "                [fax]",
        "                read = call",
        "                write = call,reporting",
        "  ?      other: who",
        "  2 wrong, 2 cannot be told from here",
    ]
