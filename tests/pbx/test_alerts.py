"""The whole way of an alert: faxes of a real Asterisk, exporters, Prometheus with the shipped
rules, Alertmanager, and who is told. Then Prometheus is asked every expression of the dashboards.

Only the waiting times are shorter than what is shipped, see `harness.rules.shortened`.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from harness.rules import RULES, shortened
from harness.running import Exporter
from tests.pbx import panels
from tests.pbx.alerting import INSTANCE, Scraped, alerting, firing, over
from tests.pbx.asterisk import Asterisk, Message

FACTOR: Final = 20
HOUR: Final = 3600 / FACTOR
"""Seconds that the rules take for an hour."""
BAD, GOOD = "PJSIP/peer", "Local/fax"
"""The trunks, as peers: one of SIP and T.38, and one of sound."""
CALLS: Final = {BAD: 11, GOOD: 8}
"""How many over each: both ends of the bad ones are more than the rules' twenty, and no more than
Asterisk has ports for here."""
FAX_SECONDS: Final = 120
FAILED: Final = "call_dropped"
TICKETS: Final = {"AsteriskFaxFailureBudgetBurning", "AsteriskFaxPeerFailureRatioHigh"}
"""Of the same failures, and later; perhaps later than the test."""

NOTHING_TO_SHOW: Final = {
    "line-quality: Bad lines per received page, by PBX: asterisk_fax_bad_lines_total, "
    "asterisk_fax_pages_received_total, asterisk_fax_pages_rejected_total",
    "line-quality: Bad lines, by PBX: asterisk_fax_bad_lines_total",
    "line-quality: Rate fallbacks, by PBX: asterisk_fax_rate_fallbacks_total",
    "line-quality: Rejected pages, by PBX: asterisk_fax_pages_rejected_total",
    "peers: Bad lines per received page, by peer: asterisk_fax_peer_bad_lines_total, "
    "asterisk_fax_peer_pages_total",
    "peers: How many faxes, and how did they end?: asterisk_fax_peer_failures_total",
    "exporter-health: Failed polls, by reason: asterisk_fax_poll_failures_total",
    "exporter-health: Logins, by PBX: asterisk_fax_connects_total",
    "fax-overview: Restarts of Asterisk, by PBX: asterisk_fax_asterisk_restarts_total",
    "fax-overview: Which PBX needs attention?: asterisk_fax_down_since_timestamp_seconds, "
    "asterisk_fax_up",
}
"""Panels, and what they ask for, in a test without a failed poll, a restart, a bad line
and a fax that failed for a reason of the other end."""
LATE: Final = (
    "exporter-health: Polls that may have missed bad lines, by PBX: asterisk_fax_late_polls_total"
)
"""Empty unless the machine had too much to do."""


def watching(asterisk: Asterisk, folder: Path) -> Exporter:
    """An exporter with files that can be read again, so that it has every metric there is, and
    knows both trunks: else it shows them for two minutes before it counts."""
    folder.mkdir()
    pbx = {
        "host": asterisk.host,
        "port": asterisk.ami_port,
        "username": asterisk.username,
        "secret_env": "PBX_SECRET",
    }
    (folder / "targets.yml").write_text(json.dumps({"targets": {"pbx": pbx}}))
    (folder / "web.yml").write_text("{}")
    known = {"seen": time.time(), "send": [FAILED], "receive": [FAILED]}
    (folder / "peers.json").write_text(json.dumps({"targets": {"pbx": {BAD: known, GOOD: known}}}))
    return Exporter(
        f"--config.file={folder / 'targets.yml'}",
        f"--web.config.file={folder / 'web.yml'}",
        "--metrics.peer-label",
        f"--metrics.peer-file={folder / 'peers.json'}",
        environment={"PBX_SECRET": asterisk.secret},
    )


def trunk_of(message: Message) -> str:
    """`Local/fax` of `Local/recv@fax-0000002a;1`, `PJSIP/peer` of `PJSIP/peer-0000002a`."""
    channel = message.get("Channel").rpartition("-")[0]
    return re.sub(r"/.*@", "/", channel)


def negotiated(asterisk: Asterisk, trunk: str, count: int) -> list[str]:
    """The receivers' channels, once there are so many that have agreed with their senders."""
    deadline = time.monotonic() + FAX_SECONDS
    while True:
        found = [
            entry.get("Channel")
            for entry, session in asterisk.driver.readings()
            if (entry.get("Operation"), trunk_of(entry)) == ("receive", trunk)
            and session is not None
            and session.get("ImageResolution") != "0x0"
        ]
        if len(found) == count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} of {count} negotiated: {found}"
        time.sleep(0.1)  # nothing tells of it; this one thing is asked again


def results(ended: list[Message]) -> Mapping[tuple[str, str, str], int]:
    """How many ended, by trunk, operation and FAXSTATUS."""
    operations = {"SendFAX": "send", "ReceiveFAX": "receive"}
    return Counter(
        (
            trunk_of(one),
            operations[one.event],
            one.variable("FAXSTATUS") or "",
        )
        for one in ended
    )


def listed(text: str) -> dict[str, int]:
    """` all 24 receive 12 send 12`, as numbers."""
    return {name: int(number) for name, number in re.findall(r" (\S+) (\d+)", text)}


def of_the_trunk(truth: Mapping[tuple[str, str, str], int], text: str) -> bool:
    """Whether this is said of the bad trunk."""
    failed = sum(n for (peer, _, status), n in truth.items() if (peer, status) == (BAD, "FAILED"))
    told = re.search(
        rf"Of the faxes of {BAD} in the past 20 minutes (\d+) failed for reasons of this side or "
        r"the line, 0 met no fax at the other end or were refused there, and 0 ended well; in the "
        rf"past hour (\d+), 0 and 0\. All failures of the hour: {FAILED} (\d+)\.$",
        text,
    )
    return told is not None and [int(one) for one in told.groups()] == [failed] * 3


def of_all(truth: Mapping[tuple[str, str, str], int], text: str) -> bool:
    """Whether this is said of the PBX."""
    told = re.search(
        r"In the past hour failed:(.*); ended well:(.*)\. All failures of the hour:(.*)\. Peers "
        r"with most of them:(.*)\.$",
        text,
    )
    by = {
        status: {
            operation: sum(n for (_, o, s), n in truth.items() if (o, s) == (operation, status))
            for operation in ("receive", "send")
        }
        for status in ("FAILED", "SUCCESS")
    }
    failed = sum(by["FAILED"].values())
    return told is not None and [listed(one) for one in told.groups()] == [
        {"all": failed, **by["FAILED"]},
        {"all": sum(by["SUCCESS"].values()), **by["SUCCESS"]},
        {FAILED: failed},
        {BAD: failed},
    ]


def test_a_trunk_that_fails_is_told_once_with_true_figures_though_two_exporters_watch_and_resolves(
    one_page: Path, three_pages: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        asterisk = stack.enter_context(Asterisk("sid"))
        first, second = (stack.enter_context(watching(asterisk, tmp_path / name)) for name in "ab")
        chain = stack.enter_context(
            alerting(
                shortened(RULES.read_text(), FACTOR),
                [Scraped(first, replica="a"), Scraped(second, replica="b")],
                tmp_path,
            )
        )
        for _ in range(CALLS[BAD]):
            asterisk.send_fax(three_pages, channel="PJSIP/recv@peer", options="z")
        for _ in range(CALLS[GOOD]):
            asterisk.send_fax(one_page)
        for channel in negotiated(asterisk, BAD, CALLS[BAD]):
            asterisk.hangup(channel)
        ended = asterisk.driver.wait_for_count(
            2 * sum(CALLS.values()), "SendFAX", "ReceiveFAX", timeout=FAX_SECONDS
        )
        truth = results(ended)
        assert truth == {
            (peer, operation, status): CALLS[peer]
            for peer, status in ((BAD, "FAILED"), (GOOD, "SUCCESS"))
            for operation in ("send", "receive")
        }
        trunk = "AsteriskFaxPeerFailing"
        whole = "AsteriskFaxFailureRatioHigh"
        chain.webhook.wait_for(
            firing(trunk, lambda text: of_the_trunk(truth, text), instance=INSTANCE, peer=BAD), HOUR
        )
        chain.webhook.wait_for(
            firing(whole, lambda text: of_all(truth, text), instance=INSTANCE), HOUR
        )

        second.stop()
        for name in (trunk, whole):
            chain.webhook.wait_for(over(name, instance=INSTANCE), 2 * HOUR)
        alone = "AsteriskFaxReplicaDown"
        chain.webhook.wait_for(firing(alone, lambda _: True, instance=INSTANCE, replica="b"), HOUR)
        told = [(name, dict(labels)) for name, labels in chain.told() if name not in TICKETS]
        assert sorted(name for name, _ in told) == sorted((trunk, whole, alone))
        assert {labels.get("peer") for _, labels in told} == {None, BAD}
        assert [name for name, labels in told if "replica" in labels] == [alone]

        empty = panels.empty(chain.prometheus, chain.start, time.time())
    assert empty - {LATE} == NOTHING_TO_SHOW
