"""Faxes that are attempted and never begin."""

from collections.abc import Iterator
from typing import Final

from alerts.burn import COUNTED, PAGE, Counts, counted
from alerts.rules import Alert, Figure, Group, Record
from alerts.thresholds import FAILURES_OBJECTIVE

_PENDING: Final = "target:asterisk_fax_attempts_not_completed:sum"
_ATTEMPTS: Final = "pbx:asterisk_fax_attempts"

ATTEMPTS: Final = Counts(_ATTEMPTS, "never_begun", "begun", FAILURES_OBJECTIVE)


def _never_begun() -> Iterator[Record]:
    yield Record(
        _PENDING,
        """\
    asterisk_fax_transmit_attempts_total
  +
    asterisk_fax_receive_attempts_total
  -
    asterisk_fax_completed_total
  -
    sum without (operation, state) (asterisk_fax_sessions{operation=~"send|receive"})
or
  label_replace(
      asterisk_fax_transmit_attempts_total
    +
      asterisk_fax_receive_attempts_total
    -
      asterisk_fax_completed_total
    unless
      sum without (operation, state) (asterisk_fax_sessions{operation=~"send|receive"}),
    "sessions", "unlisted", "", ""
  )
""",
        """
Attempts that never begin. What is neither completed nor running has never begun, or is just
beginning; the smallest value of a minute and a half leaves the latter out. A restart of Asterisk
sets it back to 0, and the smallest value of every window with it. Gateways and V.21 detectors are
no attempts.

Where the list of sessions is refused, those that run cannot be taken off: that is another series,
so that the step from one to the other is no growth.
""",
    )
    for window in (*COUNTED, "2h", "6h"):
        yield Record(
            f"{_ATTEMPTS}:increase",
            f"""\
max without (replica, sessions) (
    min_over_time({_PENDING}[90s])
  -
    min_over_time({_PENDING}[{window}])
)
""",
            labels={"result": "never_begun", "window": window},
        )
    for window in (*COUNTED, "2h", "6h"):
        sent, received = (
            counted(f"asterisk_fax_{kind}_attempts_total", window)
            for kind in ("transmit", "receive")
        )
        yield Record(
            f"{_ATTEMPTS}:increase",
            f"clamp_min(\n{sent}\n+\n{received}\n- ignoring (rules, window, result)\n"
            f"{ATTEMPTS.count(window)},\n0)",
            labels={"result": "begun", "window": window},
        )
    yield from ATTEMPTS.records("outage", "burn")


GROUP: Final = Group(
    "asterisk-fax-attempts",
    (
        *_never_begun(),
        Record(f"{_ATTEMPTS}:outage", ATTEMPTS.outage(), "As of faxes that fail."),
        Record(f"{_ATTEMPTS}:burn", ATTEMPTS.burn(*PAGE)),
        Alert(
            "AsteriskFaxT38NegotiationFailing",
            f"""\
max without (window, result) (
    {_ATTEMPTS}:outage
  or
    {_ATTEMPTS}:burn
)
""",
            wait="",
            linger="7m",
            severity="critical",
            summary="Faxes at {labels.instance} are attempted and never begin",
            description="{value:percent} never begin. Of {attempts10m} attempts in the past 10 "
            "minutes {never10m} have neither completed nor do they run, of {attempts1h} in the "
            "past hour {never1h}: T.38 was not negotiated, or the file could not be read.",
            figures={
                f"{word}{window}": Figure(expression)
                for window in ("10m", "1h")
                for word, expression in (
                    ("never", f"sum without (result, window) ({ATTEMPTS.count(window)})"),
                    (
                        "attempts",
                        f'sum without (result, window) ({_ATTEMPTS}:increase{{window="{window}"}})',
                    ),
                )
            },
        ),
    ),
    comment="Faxes that are attempted and never begin.",
)
