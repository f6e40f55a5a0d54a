"""The file that remembers peers: what it brings back, and whatever may be wrong with it."""

import asyncio
import json
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from exporter.fax import Operation, Reason
from exporter.ledger import Ledger
from exporter.peer_file import FORGOTTEN, MAX_BYTES, TOUCHED, PeerFile
from exporter.polling import Fleet, Poller, cancel_and_wait
from exporter.settings import AmiSettings, SettingsError
from harness.running import Exporter
from tests.ledger.watch import RECEIVE, SEND, Watch

NOW = 1.8e9
BERLIN, PARIS = "PJSIP/berlin", "PJSIP/paris"


def fleet_of(**ledgers: Ledger) -> Fleet:
    fleet = Fleet(1.0, 10)
    ami = AmiSettings(username="u", secret=SecretStr("s"))
    fleet.pollers = {name: Poller(ami, 1.0, one, name=name) for name, one in ledgers.items()}
    return fleet


def failed_once() -> Watch:
    """A receive fax of berlin has failed, and one of paris was sent."""
    watch = Watch.running(peer_limit=10)
    watch.hear(channel="PJSIP/berlin-1", succeeded=False, reason=Reason.NO_FAX)
    watch.hear(channel="PJSIP/paris-1", operation=SEND)
    watch.wait()
    return watch


def written(path: Path, targets: object) -> Path:
    path.write_text(json.dumps({"targets": targets}))
    return path


async def test_what_was_seen_is_remembered_by_target(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    file = PeerFile(path)
    await file.save(fleet_of(fax=failed_once().ledger, other=Ledger(10)))
    again = PeerFile(path)
    assert again.remembered("fax") == {
        BERLIN: {RECEIVE: [Reason.NO_FAX]},
        PARIS: {SEND: []},
    }
    assert again.remembered("other") == again.remembered("unknown") == {}
    # What is remembered and not seen again stays.
    await again.save(fleet_of(fax=Ledger(10, again.remembered("fax"))))
    assert PeerFile(path).remembered("fax").keys() == {BERLIN, PARIS}


async def test_it_is_written_only_when_something_is_new(tmp_path: Path) -> None:
    path, now = tmp_path / "peers.json", NOW
    file, watch = PeerFile(path, lambda: now), failed_once()
    fleet = fleet_of(fax=watch.ledger)
    await file.save(fleet)
    first = path.stat().st_ino
    watch.hear(channel="PJSIP/berlin-1", succeeded=False, reason=Reason.NO_FAX)
    watch.wait()
    await file.save(fleet)
    assert path.stat().st_ino == first
    watch.hear(channel="PJSIP/berlin-1", succeeded=False, reason=Reason.FILE)
    watch.wait()
    await file.save(fleet)
    assert PeerFile(path, lambda: now).remembered("fax")[BERLIN] == {
        RECEIVE: [Reason.NO_FAX, Reason.FILE]
    }
    second = path.read_text()
    now += TOUCHED
    await file.save(fleet)
    assert path.read_text() != second  # it says anew when each was seen


def test_the_peers_seen_last_come_first_and_those_long_gone_not_at_all(tmp_path: Path) -> None:
    seen = {"a": NOW - 5, "b": NOW, "c": NOW - FORGOTTEN - 1}
    peers = {f"PJSIP/{name}": {"seen": at, "send": []} for name, at in seen.items()}
    file = PeerFile(written(tmp_path / "peers.json", {"fax": peers}), lambda: NOW)
    assert list(file.remembered("fax")) == ["PJSIP/b", "PJSIP/a"]


async def test_a_peer_that_is_only_remembered_was_seen_no_later_for_it(tmp_path: Path) -> None:
    seen = NOW - FORGOTTEN + 60
    path = written(tmp_path / "peers.json", {"fax": {BERLIN: {"seen": seen, "send": []}}})
    file = PeerFile(path, lambda: NOW)
    await file.save(fleet_of(fax=Ledger(10, file.remembered("fax"))))
    assert json.loads(path.read_text())["targets"]["fax"][BERLIN]["seen"] == seen
    assert PeerFile(path, lambda: NOW + 120).remembered("fax") == {}


async def test_targets_that_are_not_watched_now_are_remembered_too(tmp_path: Path) -> None:
    path = written(tmp_path / "peers.json", {"away": {BERLIN: {"seen": NOW, "send": []}}})
    file = PeerFile(path, lambda: NOW)
    await file.save(fleet_of(fax=failed_once().ledger))
    assert PeerFile(path, lambda: NOW).remembered("away") == {BERLIN: {SEND: []}}


def test_words_of_another_version_are_left_out(tmp_path: Path) -> None:
    about = {"seen": NOW, "send": ["no_fax", "bored"], "dream": ["no_fax"], "receive": 7}
    path = written(tmp_path / "peers.json", {"fax": {BERLIN: about, "a\nb": about}})
    file = PeerFile(path, lambda: NOW)
    assert file.remembered("fax") == {BERLIN: {SEND: [Reason.NO_FAX], RECEIVE: []}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"targets": []}',
        b'{"targets": {"fax": 1}}',
        b'{"targets": {"fax": {"PJSIP/a": []}}}',
        b'{"targets": {"fax": {"PJSIP/a": {"send": []}}}}',
        b'{"targets": {"fax": {"PJSIP/a": {"seen": NaN}}}}',
        b'{"targets": {"fax": {"PJSIP/a": {"seen": 1e999}}}}',
        b'{"targets": {"fax": {"PJSIP/a": {"seen": "now"}}}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b"1" * 5000,
    ],
    ids=lambda content: str(content[:30]),
)
async def test_a_file_that_makes_no_sense_is_kept_aside_and_said(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "peers.json"
    path.write_bytes(content)
    file = PeerFile(path)
    assert "peers.json.damaged" in caplog.text
    assert (tmp_path / "peers.json.damaged").read_bytes() == content
    await file.save(fleet_of(fax=failed_once().ledger))
    assert PeerFile(path).remembered("fax").keys() == {BERLIN, PARIS}


def test_a_file_that_is_far_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    with path.open("wb") as file:
        file.truncate(10 * MAX_BYTES)
    PeerFile(path)
    assert (tmp_path / "peers.json.damaged").stat().st_size == 10 * MAX_BYTES


texts = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
abouts = st.fixed_dictionaries(
    {}, optional={"seen": st.floats() | st.integers(), "send": values, "receive": values}
)
files = st.dictionaries(texts, st.dictionaries(texts, abouts | values, max_size=3), max_size=3)


@settings(deadline=None)
@given(targets=files | values)
def test_whatever_it_holds_there_is_a_start_and_a_ledger(
    tmp_path_factory: pytest.TempPathFactory, targets: object
) -> None:
    path = tmp_path_factory.mktemp("peers") / "peers.json"
    file = PeerFile(written(path, targets))
    for name in targets if isinstance(targets, dict) else ():
        ledger = Ledger(2, file.remembered(name))
        asyncio.run(file.save(fleet_of(**{"x": ledger})))


async def test_that_it_cannot_be_written_is_said_once_and_so_is_that_it_can_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = tmp_path / "state"
    folder.mkdir()
    file, fleet = PeerFile(folder / "peers.json"), fleet_of(fax=failed_once().ledger)
    folder.rename(tmp_path / "away")
    for _ in range(3):
        await file.save(fleet)
    assert caplog.text.count("cannot be written: No such file or directory") == 1
    (tmp_path / "away").rename(folder)
    await file.save(fleet)
    assert caplog.text.count("is written again") == 1
    assert os.listdir(folder) == ["peers.json"]


async def test_what_could_not_be_put_in_its_place_is_not_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    file = PeerFile(path)
    path.mkdir()
    await file.save(fleet_of(fax=failed_once().ledger))
    assert os.listdir(tmp_path) == ["peers.json"]


async def test_what_is_new_when_the_exporter_ends_is_written(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    following = asyncio.create_task(PeerFile(path).follow(fleet_of(fax=failed_once().ledger)))
    await asyncio.sleep(0)
    await cancel_and_wait(following)
    assert PeerFile(path).remembered("fax").keys() == {BERLIN, PARIS}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing/peers.json", "the folder .*missing is missing"),
        (".", "is no file; name one"),
        ("pipe", "is no file; name one"),
        ("file/peers.json", "cannot be read: Not a directory"),
    ],
)
def test_a_path_that_can_never_hold_it_ends_the_start(tmp_path: Path, name: str, said: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=f"--metrics.peer-file: .*{said}"):
        PeerFile(tmp_path / name)


@pytest.mark.slow
def test_after_a_restart_every_peer_stands_there_at_once(tmp_path: Path) -> None:
    flags = ("--demo", "--metrics.peer-label", f"--metrics.peer-file={tmp_path / 'peers.json'}")
    with Exporter(*flags) as exporter:
        before = exporter.wait_until(lambda now: now.has("peer_finished_total"), 60)
        assert exporter.stop() == 0
    with Exporter(*flags) as exporter:
        now = exporter.wait_until(lambda now: now.has("peer_pages_total"), 60)
        peers = {labels for name, labels in before.samples if name.endswith("peer_pages_total")}
        assert {k for n, k in now.samples if n.endswith("peer_pages_total")} >= peers
        assert now.sum("peer_pages_total") == 0


@pytest.mark.parametrize("operation", [Operation.V21, Operation.NONE])
async def test_what_is_no_fax_is_not_remembered(tmp_path: Path, operation: Operation) -> None:
    ledger = Ledger(5, {BERLIN: {operation: []}})
    assert ledger.peers.known() == {}
