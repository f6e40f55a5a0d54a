"""The file of targets: what it says, what is refused, and how hashmod shares it out."""

import itertools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.settings import RENDEZVOUS, SettingsError, Shard, load_targets, share_of
from tests.settings.files import TWO_TARGETS, targets_file


def refusal(directory: Path, text: str | bytes, environment: Mapping[str, str] = {}) -> str:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SettingsError) as caught:
            load_targets(targets_file(directory, text))
    assert caught.value.__context__ is None or "hunter2" not in repr(caught.value.__context__)
    return str(caught.value)


def test_a_target_says_where_it_is_and_how_to_log_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARIS_SECRET", "from the environment")
    targets = load_targets(targets_file(tmp_path, TWO_TARGETS))
    assert list(targets) == ["fax-berlin", "fax-paris"]
    berlin, paris = targets.values()
    assert (berlin.host, berlin.port, berlin.tls, berlin.timeout) == ("10.0.0.5", 5038, False, 5)
    assert berlin.secret.get_secret_value() == "from a file"
    assert (paris.host, paris.port, paris.tls, paris.username) == (
        "pbx2.example",
        5039,
        True,
        "fax",
    )
    assert paris.secret.get_secret_value() == "from the environment"


def test_no_targets_are_none_but_must_be_said(tmp_path: Path) -> None:
    assert load_targets(targets_file(tmp_path, "targets: {}")) == {}
    assert "has no targets" in refusal(tmp_path, "")
    assert "takes a name and settings" in refusal(tmp_path, "targets:")


ONE = "targets: {a: {username: u, secret_file: berlin, %s}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ONE % "port: 70000", "targets.a.port: takes a number from 1 to 65535"),
        (ONE % "hots: x", "targets.a, line 1, column 49: no such setting; did you mean host?"),
        (
            ONE % "secret:hunter2",
            "targets.a, line 1, column 49: takes a colon and a blank between key and value",
        ),
        (ONE % "tls_server_name: x", "targets.a.tls_server_name: TLS is off; "),
        (ONE % "tls: true, tls_ca_file: x", "targets.a.tls_ca_file: No such file"),
        (ONE % "tls_key_file: x", "the unencrypted key of tls_cert_file"),
        (ONE % "timeout: never", "targets.a.timeout: takes seconds"),
        (
            ONE % "secret_env: X",
            "targets.a.secret_file: secret_env is set too, and only one",
        ),
        ("targets: {a: {username: u}}", "targets.a.secret_file (or secret_env): not set; takes"),
        ("targets: {a: {secret_file: berlin}}", "targets.a.username: not set; takes the name"),
        (
            "targets: {a: {username: u, secret_env: NOT_THERE}}",
            "targets.a.secret_env: the variable that it names is not set",
        ),
        (
            "targets: {a: {username: u, secret_env: [1]}}",
            "targets.a.secret_env: the variable that it names is not set",
        ),
        (
            "targets: {a: {username: u, secret_env: hunter2}}",
            "targets.a.secret_env: the variable that it names is not set",
        ),
        ("targets: {a: {username: u, secret_file: berlin, host: [1]}}", "targets.a.host: takes"),
        ("targets: {a: {username: u, secret_file: no}}", "targets.a.secret_file: No such"),
        ("targets: {7: {}}", "targets, line 1, column 11: takes a name"),
        ("targets: {a b: {}}", "targets, line 1, column 11: takes a name"),
        ("targets: {a/b: {}}", "targets, line 1, column 11: takes a name"),
        ("targets: {a: 3}", "targets, line 1, column 11: takes host, username"),
        ("targets: [a]", "targets: takes a name and settings for each"),
        (
            "targets: {}\nglobal: {}",
            ": line 2, column 1: no such setting; there is targets, shard, shard_by",
        ),
        ("- targets", "has no targets"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    said = refusal(tmp_path, text)
    assert said.startswith(f"{tmp_path / 'exporter.yml'}: ")
    assert expected in said
    assert len(said.splitlines()) == 1


def test_a_name_fits_into_a_label_of_dns(tmp_path: Path) -> None:
    login = "{username: u, secret_file: berlin}"
    assert load_targets(targets_file(tmp_path, f"targets: {{{'a' * 63}: {login}}}"))
    assert "takes a name" in refusal(tmp_path, f"targets: {{{'a' * 64}: {login}}}")


def test_every_fault_of_every_target_has_its_line(tmp_path: Path) -> None:
    said = refusal(
        tmp_path,
        "targets:\n"
        "  a: {username: u, secret_file: berlin, port: 0, host: 'x y'}\n"
        "  b: {username: u, secret_file: berlin}\n"
        "  c: {user: u, secret_file: berlin}\n",
    )
    places = [line.split(": ")[1].split(" ")[0] for line in said.splitlines()]
    assert places == ["targets.a.host", "targets.a.port", "targets.c,", "targets.c.username"]


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError, match=reason):
            load_targets(path)


@pytest.mark.parametrize(
    "text",
    [
        "targets: {a: {username: u, secret: hunter2}}",
        "targets: {a: {username: u, password: hunter2}}",
        "targets: {a: {username: u, secret: hunter2, secret: hunter2}}",
        "targets: {a: {username: u, secret: hunter2",
        "targets: {a: {username: u, secret_env: SECRET, tls: maybe}}",
        "targets: {a: {username: u, secret_env: BROKEN}}",
        "targets: {a: {username: u, secret_env: hunter2}}",
        "hunter2",
        "targets: hunter2",
        "targets: {a: hunter2}",
    ],
)
def test_no_refusal_repeats_a_secret(tmp_path: Path, text: str) -> None:
    environment = {"SECRET": "hunter2", "BROKEN": "hunter2\r\nAction: Originate"}
    assert "hunter2" not in refusal(tmp_path, text, environment)


WORDS = st.sampled_from(["targets", "a", "host", "port", "secret_file", "tls", "berlin", "<<", "7"])
YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.binary(max_size=60) | st.dictionaries(WORDS, YAML).map(lambda value: repr(value).encode())
)
def test_no_file_does_worse_than_a_refusal(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "exporter.yml"
        path.write_bytes(content)
        try:
            load_targets(path)
        except SettingsError as error:
            assert str(error).isprintable() or "\n" in str(error)  # noqa: PT017


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingsError, match="a named pipe"):
        load_targets(tmp_path / "pipe")
    said = refusal(tmp_path, "targets: {a: {username: u, secret_file: pipe}}")
    assert "targets.a.secret_file: a named pipe" in said
    assert len(said.splitlines()) == 1


def test_what_refers_to_itself_a_thousand_million_times_is_refused_at_once(tmp_path: Path) -> None:
    lists = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 10))
    said = refusal(tmp_path, f"x0: &x0 [1]\n{lists}\ntargets: {{a: {{host: *x9}}}}")
    assert "targets.a.host: takes" in said


# --- shares ---------------------------------------------------------------------------------


def test_a_shard_reads_its_share_and_still_refuses_what_is_wrong_in_others(tmp_path: Path) -> None:
    text = "targets:\n" + "".join(
        f"  pbx-{number}: {{username: u, secret_file: berlin}}\n" for number in range(20)
    )
    path = targets_file(tmp_path, text)
    shares = [list(load_targets(path, Shard(index, 3))) for index in range(3)]
    assert all(shares)
    assert sorted(itertools.chain(*shares)) == sorted(load_targets(path))
    by_rule = [list(load_targets(path, Shard(index, 3, RENDEZVOUS))) for index in range(3)]
    assert by_rule != shares
    assert sorted(itertools.chain(*by_rule)) == sorted(load_targets(path))
    mine = share_of("pbx-3", 3)
    targets_file(tmp_path, text.replace("pbx-3: {username: u", "pbx-3: {username: 7"))
    with pytest.raises(SettingsError):
        load_targets(path, Shard((mine.index + 1) % 3, 3))


def test_the_file_may_say_the_share_as_the_flags_do(tmp_path: Path) -> None:
    text = "targets:\n" + "".join(
        f"  pbx-{number}: {{username: u, secret_file: berlin}}\n" for number in range(20)
    )
    path = targets_file(tmp_path, text)
    by_hashmod = load_targets(path, Shard(1, 3))
    by_rendezvous = load_targets(path, Shard(1, 3, RENDEZVOUS))
    assert load_targets(targets_file(tmp_path, "shard: 1/3\n" + text)) == by_hashmod
    named = targets_file(tmp_path, text + "shard: 1/3\nshard_by: rendezvous\n")
    assert load_targets(named) == by_rendezvous
    # Null is as good as nothing.
    assert load_targets(targets_file(tmp_path, text + "shard:\n"), Shard(1, 3)) == by_hashmod


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("shard: 3/3", "shard: the index is not below the count; the first is 0; takes INDEX/C"),
        ("shard: 1", "shard: not INDEX/COUNT; takes INDEX/COUNT, such as 0/3"),
        ("shard: {index: 5, count: 3}", "shard: not INDEX/COUNT; takes INDEX/COUNT, such as 0/3"),
        ("shard: 0/3\nshard_by: names", "shard_by: takes hashmod or rendezvous"),
        ("shard_by: hashmod", "shard_by: needs shard"),
    ],
)
def test_a_share_in_the_file_that_is_none_is_refused(tmp_path: Path, given: str, said: str) -> None:
    assert f"exporter.yml: {said}" in refusal(tmp_path, f"targets: {{}}\n{given}\n")


def test_a_share_is_said_by_the_flag_or_the_file_and_not_by_both(tmp_path: Path) -> None:
    path = targets_file(tmp_path, "targets: {}\nshard: 0/2\n")
    with pytest.raises(SettingsError, match=r"shard: not together with --config\.shard; leave out"):
        load_targets(path, Shard(0, 2))


def test_a_secret_file_with_a_byte_order_mark_is_refused(tmp_path: Path) -> None:
    path = targets_file(tmp_path, ONE % "host: a")
    (tmp_path / "berlin").write_bytes(b"\xef\xbb\xbfhunter2\n")
    with pytest.raises(SettingsError, match="secret_file: it begins with a byte order mark"):
        load_targets(path)
