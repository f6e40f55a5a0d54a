"""The words for what is wrong: slips get a suggestion, and nothing is repeated."""

import contextlib
import io
import tempfile
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.settings import SETTINGS, SettingsError, WebConfigFile, load, load_targets
from exporter.settings.problems import Accepts, Place, no_such
from tests.settings.files import HASH


def test_a_name_that_is_none_is_not_repeated_and_one_that_is_near_is_said() -> None:
    assert no_such("line 3", "hots", ["host", "port"]) == (
        "line 3: no such setting; did you mean host?"
    )
    assert no_such("argument 2", "zzz", ["host"]) == (
        "argument 2: no such setting; --help lists what there is"
    )
    assert no_such("x", "a" * 10_000_000, ["host"], hint="; b") == "x: no such setting; b"


def test_a_refusal_ends_with_what_is_accepted() -> None:
    place = Place("--ami.port", Accepts("PORT", "a number"))
    assert place.refusal("") == "--ami.port: takes a number"
    assert place.refusal("not set") == "--ami.port: not set; takes a number"


# --- no message repeats what a user wrote -----------------------------------------------------

MARK: Final = "xQ9zK"
"""At both ends of each secret here, so that a part of one is noticed too."""
SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8).map(
    lambda text: f"{MARK}{text}{MARK}"
) | st.sampled_from([f"{MARK}{char}{MARK}" for char in "=:*!&%@#|>'\"-[]{},. /\\\n"])
AROUND = st.sampled_from(
    [*" =*!&%@'\"|#{[}]:\n", "", ": ", "- ", "!!", ", ", "? ", "<<: ", "secret:", "secret=", "\n  "]
)
LOGIN: Final = "username: u, secret_file: s"
TARGETS: Final = f"targets:\n  a: {{{LOGIN}, port: 1}}\n  b: {{username: u, secret_env: X}}\n"
WEB: Final = (
    "tls_server_config:\n  cert_file: c\n  key_file: k\n  min_version: TLS13\n"
    f"http_server_config:\n  headers:\n    X-Frame-Options: deny\nbasic_auth_users:\n  u: {HASH}\n"
)


def said(action: Callable[[], object]) -> str:
    """All that is said: of the error with its context, and to standard output and error."""
    streams = io.StringIO()
    with (
        contextlib.redirect_stdout(streams),
        contextlib.redirect_stderr(streams),
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        try:
            action()
        except SettingsError as error:
            streams.write("".join(traceback.format_exception(error)))
        except SystemExit:
            pass
    return "\n".join([streams.getvalue(), *(str(one.message) for one in warned)])


def is_said(action: Callable[[], object]) -> bool:
    return MARK.lower() in said(action).lower()


def is_said_of(read: Callable[[Path], object], text: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.yml"
        path.write_text(text, "utf-8")
        return is_said(lambda: read(path))


@pytest.mark.parametrize(
    "text",
    [
        "targets: {a: {username: u, secret:%s}}",
        "targets: {a: {username: u, secret=%s}}",
        "targets: {a: {username: u, secret: *%s}}",
        "targets: {a: {username: u, secret: !%s x}}",
        "targets: {a: {username: u, secret: !%s!x y}}",
        "targets: {a: {username: u}, %s}",
        "targets: {a: {username: u}, secret:%s}",
        "targets: {a: {%s: 1, %s: 2}}",
        "targets: {a: {username: &%s u, host: &%s h}}",
        "targets: {a: {username: u, secret_file: %s}}",
        "targets: {a: {username: u, secret_env: %s}}",
        "targets: {a: {username: u, host: '%s ', port: %s, timeout: %s, tls_ca_file: %s}}",
        "targets: %s",
        "%s: {}",
        "%%YAML 1.1 %s\n---\ntargets: {}",
        "basic_auth_users: {%s: x}",
        "basic_auth_users: {u: %s}",
        "basic_auth_users: {'%s:': x}",
        "tls_server_config: {cert_file: %s, key_file: %s, client_auth_type: %s}",
        "tls_server_config: {%s: x}",
        "http_server_config: {headers: {%s: x, X-Frame-Options: %s}}",
    ],
)
def test_no_error_about_a_file_repeats_what_is_in_it(text: str) -> None:
    for secret in (MARK, MARK.upper(), f"secret_file{MARK}", f"{MARK}/{MARK}", f"'{MARK}'"):
        written = text.replace("%s", secret).replace("%%", "%")
        assert not is_said_of(load_targets, written)
        assert not is_said_of(WebConfigFile, written)


@given(
    at=st.integers(0, len(TARGETS)),
    before=AROUND,
    secret=SECRETS,
    after=AROUND,
)
def test_a_secret_anywhere_in_a_file_of_targets_is_not_repeated(
    at: int, before: str, secret: str, after: str
) -> None:
    # The name of a target that has settings is said, as it is on /metrics.
    for name in ("  a:", "  b:"):
        start = TARGETS.index(name)
        at = start if start <= at < start + len(name) else at
    assert not is_said_of(load_targets, TARGETS[:at] + before + secret + after + TARGETS[at:])


@given(at=st.integers(0, len(WEB)), before=AROUND, secret=SECRETS, after=AROUND)
def test_a_secret_anywhere_in_a_web_file_is_not_repeated(
    at: int, before: str, secret: str, after: str
) -> None:
    assert not is_said_of(WebConfigFile, WEB[:at] + before + secret + after + WEB[at:])


FLAGS: Final = [setting.flag for setting in SETTINGS]
FORMS: Final = st.sampled_from(
    [
        "{flag}={secret}",
        "{flag}{secret}",
        "--{secret}",
        "-p{secret}",
        "{secret}",
        "{secret}=x",
        "--no-{secret}",
        "--ami.{secret}=1",
        "-{secret}",
        "-h{secret}",
        "--{secret}={secret}",
        "{flag}",
    ]
)


@given(st.lists(st.tuples(FORMS, st.sampled_from(FLAGS), SECRETS), max_size=5))
@example([("-p{secret}", "", MARK)])
@example([("{flag}", "--ami.port", ""), ("{secret}", "", f"-{MARK}"), ("{secret}", "", MARK)])
def test_a_secret_anywhere_on_the_command_line_is_not_repeated(
    words: Sequence[tuple[str, str, str]],
) -> None:
    argv = [form.format(flag=flag, secret=secret) for form, flag, secret in words]
    assert not is_said(lambda: load(argv))


VARIABLES: Final = [setting.variable for setting in SETTINGS]
UNKNOWN: Final = ["FAX_EXPORTER_HOST", "FAX_EXPORTER_AMI", "FAX_EXPORTER_AMI_SECRETT"]


@given(st.dictionaries(st.sampled_from([*VARIABLES, *UNKNOWN]), SECRETS, max_size=6))
@example(dict.fromkeys(VARIABLES, MARK))
@example({"FAX_EXPORTER_AMI_SECRET": f"{MARK}\n", "FAX_EXPORTER_AMI_USERNAME": MARK})
def test_the_value_of_no_variable_is_repeated(environment: Mapping[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        assert not is_said(lambda: load([]))
