import os
import pwd
from pathlib import Path

import pytest
from pydantic import SecretStr

from exporter.settings import AmiSettings
from exporter.setup_pbx import exporter_side
from exporter.setup_pbx.environment_file import variables
from exporter.setup_pbx.refusal import Refusal

NAME = "FAX_EXPORTER_AMI_USERNAME"


def login(**more: object) -> AmiSettings:
    given = {"username": "fax-exporter", "secret": SecretStr("new"), **more}
    return AmiSettings.model_validate(given)


def plan(folder: Path, to: AmiSettings | None = None) -> exporter_side.ExporterSide:
    return exporter_side.plan(folder, to or login(), folder / "secret.before")


def done(side: exporter_side.ExporterSide) -> None:
    for change in side.changes:
        if change.after is None:
            change.path.unlink()
        else:
            change.path.write_bytes(change.after)


def sets(folder: Path) -> dict[str, str]:
    content = (folder / "environment").read_bytes()
    return {name: value for name, (value, _) in variables(content).values.items()}


def test_what_is_the_default_is_not_set(tmp_path: Path) -> None:
    done(plan(tmp_path))
    assert sets(tmp_path) == {NAME: "fax-exporter"}
    assert exporter_side.secret_of(tmp_path) == "new"
    done(plan(tmp_path, login(host="10.0.0.1", port=6038)))
    assert sets(tmp_path) == {
        NAME: "fax-exporter",
        "FAX_EXPORTER_AMI_HOST": "10.0.0.1",
        "FAX_EXPORTER_AMI_PORT": "6038",
    }


def test_lines_of_others_stay_and_what_they_say_of_a_pbx_does_not_hold(tmp_path: Path) -> None:
    others = (
        f"{NAME}=admin\nFAX_EXPORTER_AMI_TLS=true\nFAX_EXPORTER_AMI_SECRET=hunter2\n"
        "FAX_EXPORTER_AMI_SECRET_FILE=/etc/other\nFAX_EXPORTER_AMI_TIMEOUT=9\n"
        "FAX_EXPORTER_DEMO=true\nFAX_EXPORTER_LOG_LEVEL=debug"
    )
    (tmp_path / "environment").write_text(others)
    side = plan(tmp_path)
    done(side)
    assert (tmp_path / "environment").read_text().startswith(others + "\n")
    assert {name: value for name, value in sets(tmp_path).items() if value} == {
        NAME: "fax-exporter",
        "FAX_EXPORTER_AMI_SECRET_FILE": str(tmp_path / "secret"),
        "FAX_EXPORTER_AMI_TIMEOUT": "9",
        "FAX_EXPORTER_LOG_LEVEL": "debug",
    }
    assert f"{tmp_path}/environment:1: sets {NAME}, and the line below it holds" in side.notes
    assert "hunter2" not in "".join(side.notes)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("A='x\n", "ends inside a value"),
        ("A=x\\", "ends inside a value"),
        ("\nFAX_EXPORTER_CONFIG_FILE=/etc/x.yml\n", r"environment:2: FAX_EXPORTER_CONFIG_FILE"),
    ],
)
def test_where_it_would_not_hold_it_is_refused(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "environment").write_text(content)
    with pytest.raises(Refusal, match=why):
        plan(tmp_path)


@pytest.mark.parametrize("before", [None, "", "an earlier one\n"])
@pytest.mark.parametrize("environment", [None, "", "A=1", "A=1\n"])
def test_both_files_become_what_they_were_also_after_a_second_run(
    tmp_path: Path, before: str | None, environment: str | None
) -> None:
    was: dict[str, str] = {}
    if before is not None:
        was["secret"] = before
        if before:
            (tmp_path / "secret.before").write_text(before)  # as the copy is
    if environment is not None:
        was["environment"] = environment
    for name, text in was.items():
        (tmp_path / name).write_text(text)
    done(plan(tmp_path))
    side = plan(tmp_path)
    assert not any(change.changes for change in side.changes)
    done(plan(tmp_path, login(secret=SecretStr("newer"))))
    done(exporter_side.removal(tmp_path, {"newer"}))
    (tmp_path / "secret.before").unlink(missing_ok=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == was


def test_a_secret_that_is_another_stays(tmp_path: Path) -> None:
    done(plan(tmp_path))
    (tmp_path / "secret").write_text("typed in by hand\n")
    side = exporter_side.removal(tmp_path, {"new"})
    done(side)
    assert (tmp_path / "secret").read_text() == "typed in by hand\n"
    assert side.notes[0].startswith(f"{tmp_path}/secret: holds another secret")


def test_a_secret_whose_copy_is_gone_stays(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("earlier\n")
    done(plan(tmp_path))
    side = exporter_side.removal(tmp_path, {"new"})
    assert [change.path.name for change in side.changes] == ["environment"]
    assert "is gone" in side.notes[0]


def test_without_lines_of_ours_nothing_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "environment").write_text("A=1\n")
    (tmp_path / "secret").write_text("x")
    assert exporter_side.removal(tmp_path, set()).changes == ()


def test_the_secret_is_for_the_services_user_alone(tmp_path: Path) -> None:
    me = pwd.getpwuid(os.getuid())
    side = exporter_side.plan(tmp_path, login(), tmp_path / "copy", me.pw_name)
    owned = side.changes[1].owned
    assert owned is not None
    assert (owned.uid, owned.gid, owned.mode) == (me.pw_uid, me.pw_gid, 0o600)
    owned = (
        exporter_side.plan(tmp_path, login(), tmp_path / "copy", "no-such-user").changes[1].owned
    )
    assert owned is not None
    assert (owned.uid, owned.mode) == (os.geteuid(), 0o600)
