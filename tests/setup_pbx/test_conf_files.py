import os
from pathlib import Path

import pytest

from exporter.setup_pbx import conf_files
from exporter.setup_pbx.conf_files import MAX_BYTES, content_of, included
from exporter.setup_pbx.refusal import Refusal


def test_what_is_there_is_read_and_what_is_not_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\r\n")
    assert content_of(tmp_path / "a") == b"\xff\r\n"
    assert content_of(tmp_path / "b") is None
    assert content_of(tmp_path / "a/b") is None


def test_nothing_is_waited_for_and_memory_stays_bounded(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(100 * MAX_BYTES)
    for path in (*tmp_path.iterdir(), tmp_path, Path("/dev/zero")):
        with pytest.raises(Refusal):
            content_of(path)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.conf", ["a.conf"]),
        ("none.conf", ["none.conf"]),
        ("*.conf", ["a.conf", "b.conf"]),
        ("sub/*.conf", ["sub/c.conf"]),
        ("{b,a}.conf", ["b.conf", "a.conf"]),
        ("none/*.conf", []),
        ("[ab].conf", ["a.conf", "b.conf"]),
    ],
)
def test_an_include_means_the_files_that_glob_finds(
    tmp_path: Path, name: str, found: list[str]
) -> None:
    (tmp_path / "sub").mkdir()
    for one in ("b.conf", "a.conf", ".hidden.conf", "a.conf.bak", "sub/c.conf"):
        (tmp_path / one).touch()
    assert included(tmp_path, name, {}) == [tmp_path / one for one in found]
    assert included(tmp_path, f"{tmp_path}/{name}", {}) == [tmp_path / one for one in found]


def test_files_that_are_to_be_written_or_to_go_are_reckoned_with(tmp_path: Path) -> None:
    (tmp_path / "b.conf").touch()
    overlay = {tmp_path / "a.conf": b"", tmp_path / "b.conf": None}
    assert included(tmp_path, "*.conf", overlay) == [tmp_path / "a.conf"]


def test_wildcards_in_folders_are_not_followed(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="folder"):
        included(tmp_path, "*/*/x.conf", {})


def test_a_folder_with_too_many_entries_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conf_files, "_MAX_ENTRIES", 3)
    for number in range(4):
        (tmp_path / f"{number}").touch()
    with pytest.raises(Refusal, match="more than 3 entries"):
        included(tmp_path, "*.conf", {})
