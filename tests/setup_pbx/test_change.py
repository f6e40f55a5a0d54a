from pathlib import Path

from exporter.setup_pbx.block import put
from exporter.setup_pbx.change import Change

PATH = Path("manager.conf")


def test_only_our_lines_are_shown_and_no_secret() -> None:
    before = put(PATH, b"[admin]\nsecret = theirs", ("[a]", "secret = earlier", "x = 1"), ";")
    after = put(PATH, before, ("[a]", "secret = now", "x = 2"), ";")
    text = "\n".join(Change(PATH, before, after).shown())
    assert "theirs" not in text
    assert "earlier" not in text
    assert "now" not in text
    assert "  - x = 1\n" in text
    assert "  + x = 2\n" in text
    assert "    secret = ********\n" in text


def test_of_a_file_that_is_a_secret_nothing_is_shown() -> None:
    change = Change(PATH, b"one", b"two", is_secret=True, words="a new one")
    assert list(change.shown()) == ["manager.conf: a new one"]


def test_a_file_that_comes_or_goes_is_called_so() -> None:
    assert list(Change(PATH, None, b"", words="at its end").shown()) == [
        "manager.conf: new, at its end"
    ]
    assert next(Change(PATH, b"", None).shown()) == "manager.conf: goes"
