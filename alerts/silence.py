"""A line that has gone silent: no fax, at hours at which there were many in the weeks before."""

import textwrap
from collections.abc import Iterable
from typing import Final

from alerts.promql import kept
from alerts.rules import Alert, Figure, Group, Record
from alerts.thresholds import MISSED

_LAST_FAX: Final = "pbx_operation_peer:asterisk_fax_last_fax:timestamp_seconds"
_WATCHED: Final = "pbx:asterisk_fax_watched_since:timestamp_seconds"
_SILENCE: Final = "pbx_operation_peer:asterisk_fax_silence:seconds"
_GROWTH: Final = "pbx_operation_peer:asterisk_fax_finished:growth"
_USUAL: Final = "pbx_operation_peer:asterisk_fax_finished:usual"
_MISSED: Final = "pbx_operation_peer:asterisk_fax_missed:faxes"
_UNOBSERVED: Final = "pbx:asterisk_fax_unobserved_completions:increase2h"
"""Faxes end of which nobody tells: if there are many of these, it is not faxes that are missing."""
_WINDOWS: Final = {"1h": 1, "4h": 4, "1d": 24, "3d": 72}
"""How long a silence must be, in hours. The longer, the fewer faxes a day make it conspicuous."""
_SEEN: Final = "max without (replica) (max_over_time(asterisk_fax_up[15m])) == 1"


def _growth(window: str) -> Record:
    return Record(
        _GROWTH,
        f"""\
max without (replica) (
    sum without (transport) (asterisk_fax_finished_total or asterisk_fax_peer_finished_total)
  -
    sum without (transport) (
      asterisk_fax_finished_total offset {window}
      or asterisk_fax_peer_finished_total offset {window}
    )
)
>= 0
""",
        labels={"window": window},
    )


def _then(hours: Iterable[int], between: str, growth: str = _GROWTH) -> str:
    """What there was so many hours before."""
    return f"\n{between}or ".join(
        f'label_replace({growth} offset {before}h, "before", "{before}", "", "")'
        for before in hours
    )


def _evident(window: str, hours: int) -> str:
    return f"""\
  {_USUAL}{{window="{window}"}} >= {MISSED}
  and ignoring (window)
    {_SILENCE} >= {hours * 3600}
or ignoring (window)
"""


def _unobserved(missed: str) -> str:
    """What is missed where a third of it, or more, was not observed; a few always are."""
    return "\n  or\n".join(
        f"    {missed} < ignoring (operation, peer) group_left () 3 * {one}"
        for one in (_UNOBSERVED, f"sum_over_time({_UNOBSERVED}[1d:2h])")
    )


GROUP: Final = Group(
    "asterisk-fax-silence",
    (
        Record(
            _LAST_FAX,
            f"""\
  max without (replica) (asterisk_fax_last_fax_timestamp_seconds)
or
  time()
  + 0 * (
    max without (replica) (asterisk_fax_peer_finished_total)
    > max without (replica) (asterisk_fax_peer_finished_total offset 15m)
  )
or ignoring (rules)
  {kept(_LAST_FAX)}
""",
            comment="""
When the last fax ended, also if the exporter was restarted since; and the same of each peer, where
they are told apart, up to a quarter of an hour late.
""",
        ),
        Record(
            _WATCHED,
            f"""\
  last_over_time({_WATCHED}[1h])
  and ignoring (rules)
    {_SEEN}
or ignoring (rules)
  time() * ({_SEEN})
""",
            comment="""
Since when the PBX is seen, with no pause of a quarter of an hour: what nobody watched was not
silent.
""",
        ),
        Record(
            _SILENCE,
            f"""\
time() - (
    {_LAST_FAX}
    > ignoring (operation, peer) group_left ()
      {_WATCHED}
  or
    0 * {_LAST_FAX}
    + ignoring (operation, peer) group_left ()
      {_WATCHED}
)
""",
        ),
        *map(_growth, _WINDOWS),
        Record(
            _USUAL,
            f"""\
  min without (before) (
    {_then((167, 168, 169, 335, 336, 337), "    ")}
    or max without (before) (
      {_then(range(24, 144, 24), "      ", _GROWTH + '{window!="3d"}')}
    )
  )
and (
    {_GROWTH}{{window!="3d"}} offset 168h
  or
    {_GROWTH} offset 336h
)
""",
            comment="""
The least of what there was at these hours, and an hour earlier and later, one and two weeks ago,
so that neither one odd day nor a clock that was changed decides; and on the best of the past five
days, so that one day of many faxes in a quiet month does not, when there is no second week yet;
three days are compared with both weeks in any case.
""",
        ),
        Record(
            _MISSED,
            f"""\
max without (window) (
{textwrap.indent("".join(_evident(*window) for window in _WINDOWS.items()), "  ")}\
    last_over_time({_MISSED}[1h])
    and
      time() - {_LAST_FAX} >= 3600 < 7 * 86400
)
""",
            comment="""
Once a silence is evident it goes on until the next fax, for a week at most; a pause in which nobody
watched ends it not.
""",
        ),
        Alert(
            "AsteriskFaxSilent",
            f"""\
  {_MISSED}{{peer=""}} >= {MISSED}
unless (
{_unobserved(f'{_MISSED}{{peer=""}}')}
)
""",
            wait="5m",
            severity="warning",
            summary="No fax at {labels.instance} any more: {labels.operation}",
            description="No fax ({labels.operation}) has ended for {silence:duration}; in the same "
            "hours of the weeks before there were at least {value}. On a public holiday this is as "
            "it should be: then silence the alert for the day.",
            figures={"silence": Figure(_SILENCE)},
        ),
        Alert(
            "AsteriskFaxPeerSilent",
            f"""\
  {_MISSED}{{peer!=""}} >= {MISSED}
unless ignoring (peer)
  {_MISSED}{{peer=""}}
unless (
{_unobserved(f'{_MISSED}{{peer!=""}}')}
)
""",
            wait="5m",
            severity="warning",
            summary="No fax over {labels.peer} at {labels.instance} any more: {labels.operation}",
            description="No fax ({labels.operation}) over {labels.peer} has ended for "
            "{silence:duration}, while others have; in the same hours of the weeks before there "
            "were at least {value}.",
            figures={"silence": Figure(_SILENCE)},
        ),
    ),
    comment="""
Lines that have gone silent. All looks up single values, and no range longer than an hour, so that
it costs little also with a thousand PBXs. It needs two weeks of samples.
""",
)
