"""What is said of a secret that is taken though it is odd."""

import os
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from exporter.settings import (
    secret_cautions,
)
from tests.settings.loaded import login


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("hunter2", []),
        ("s3 crét", []),
        ("hunter2 ", ["blanks at an end"]),
        (" hunter2", ["blanks at an end"]),
        ("hunter;2", [r"written '\;'"]),
        ("hunter;2 ", ["blanks at an end", r"written '\;'"]),
    ],
)
def test_what_manager_conf_would_make_another_secret_of_is_said(
    secret: str, said: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{secret}\n")
    file.chmod(0o600)
    user = {"FAX_EXPORTER_AMI_USERNAME": "fax"}
    for ami, name in (
        (login(f"--ami.secret-file={file}", user), str(file)),
        (login("", user | {"FAX_EXPORTER_AMI_SECRET": secret}), "FAX_EXPORTER_AMI_SECRET"),
    ):
        cautions = secret_cautions(ami)
        assert len(cautions) == len(said)
        for caution, words in zip(cautions, said, strict=True):
            assert caution.startswith(f"{name}: ")
            assert words in caution
            assert "hunter" not in caution


@pytest.mark.parametrize(
    ("folder", "mode", "open_to_all"),
    [
        (0o755, 0o644, True),
        (0o755, 0o604, True),
        (0o755, 0o640, False),
        (0o750, 0o644, False),
    ],
)
def test_a_secret_file_that_all_may_read_is_named_with_the_command_that_ends_it(
    folder: int, mode: int, open_to_all: bool
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as root:
        file = Path(root) / "a secret"
        file.write_text("hunter2\n")
        file.chmod(mode)
        Path(root).chmod(folder)
        user = {"FAX_EXPORTER_AMI_USERNAME": "fax"}
        cautions = secret_cautions(login(f"--ami.secret-file='{file}'", user))
        assert len(cautions) == open_to_all
        for caution in cautions:
            _, _, command = caution.rpartition("may read it: ")
            subprocess.run(["sh", "-c", command], check=True, timeout=10)
            assert stat.S_IMODE(file.stat().st_mode) == mode & 0o770
        assert secret_cautions(login(f"--ami.secret-file='{file}'", user)) == []


def test_of_a_secret_mounted_read_only_nothing_is_said_that_nobody_could_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as root:
        file = Path(root) / "secret"
        file.write_text("hunter2\n")
        file.chmod(0o644)
        Path(root).chmod(0o755)
        ami = login(f"--ami.secret-file={file}", {"FAX_EXPORTER_AMI_USERNAME": "fax"})
        assert len(secret_cautions(ami)) == 1
        now = os.statvfs(file)
        read_only = os.statvfs_result((*now[:8], now.f_flag | os.ST_RDONLY, *now[9:]))
        monkeypatch.setattr(os, "statvfs", lambda _: read_only)
        assert secret_cautions(ami) == []
