"""YAML files: what cannot be read, and in which words that is said."""

from pathlib import Path

import pytest

from exporter.settings import MAX_FILE, SETTINGS, SettingsError, read_yaml


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("targets: {a: {}, a: {}}", "exporter.yml: line 1, column 18: this key is there twice"),
        ("targets:\n  a: [", "exporter.yml: line 2, column 7: something is missing"),
        ("a: {b: 1", "exporter.yml: line 1, column 9: a brace { that is opened"),
        ("a:\n  b: 1\n\tc: 2", "exporter.yml: line 3, column 1: a tab where YAML takes blanks"),
        ("\ta: 1", "exporter.yml: line 1, column 1: a tab where YAML takes blanks"),
        (
            "a: @b",
            "exporter.yml: line 1, column 4: a value that begins with this",
        ),
        ("a:\n  b: 1\n   c: 2", "exporter.yml: line 3, column 5: a colon too many"),
        (
            "a:\n  b: 1\n c: 2",
            "exporter.yml: line 3, column 2: does not go with the lines before it: see how",
        ),
        ("targets: *other", "line 1, column 10: a name after * that no & has given"),
        ("targets: !!python/object/apply:os.system [x]", "line 1, column 10: a type after !"),
        ("a: \x01", "holds characters that YAML does not allow"),
        (b"a: \xff\xfe", "holds characters that YAML does not allow"),
        ("[" * 10_000, "nested too deep"),
        ("targets: 2026-13-45", "not YAML (ValueError)"),
        (b" " * (MAX_FILE + 1), "not a configuration"),
    ],
)
def test_what_is_no_yaml_is_refused_in_a_line(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    path = tmp_path / "exporter.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(SettingsError) as caught:
        read_yaml(path)
    said = str(caught.value)
    assert expected in said
    assert len(said.splitlines()) == 1
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [("none", "No such file or directory"), (".", "Is a directory"), ("a\0b", "cannot be opened")],
)
def test_a_file_that_cannot_be_opened_is_named_by_the_setting_that_names_it(
    name: str, reason: str, tmp_path: Path
) -> None:
    setting = next(setting for setting in SETTINGS if setting.flag == "--config.file")
    with pytest.raises(SettingsError) as caught:
        read_yaml(tmp_path / name, setting)
    flag, said = str(caught.value).split(" ", 1)
    assert flag == "--config.file"
    assert said.startswith("(or FAX_EXPORTER_CONFIG_FILE): ")
    assert said.endswith(f": {reason}; takes {setting.accepts.what}")
