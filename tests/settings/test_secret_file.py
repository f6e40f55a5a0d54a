"""The file with the secret: what is taken for one, and what is refused."""

from pathlib import Path

import pytest

from tests.settings.loaded import login, refusal


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_secret_is_the_file_without_its_line_end(end: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f" s3 crét {end}".encode())
    user = {"FAX_EXPORTER_AMI_USERNAME": "fax"}
    assert login(f"--ami.secret-file={file}", user).secret.get_secret_value() == " s3 crét "
    assert login("", user | {"FAX_EXPORTER_AMI_SECRET_FILE": str(file)}).secret_file == file


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b" \r\n", "the file is empty"),
        (b"hunter2\nEvil: yes\n", "it has several lines, and control characters"),
        (b"\r\nhunter2\r\n", "it has several lines"),
        (b"\xef\xbb\xbfhunter2\n", "it begins with a byte order mark; save it as UTF-8 without"),
        ("hunter2\r\n".encode("utf-16"), "it is UTF-16; save it as UTF-8 without"),
        ("hunter2".encode("utf-16-be"), "it is UTF-16"),
        (b"hunter2\x00", "control characters"),
        (b"hunter2\xff", "not UTF-8"),
        (b"hunter2" * 1000, "more than 4096 bytes"),
    ],
)
def test_a_file_with_no_good_secret_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    said = refusal(f"--ami.secret-file {file}")
    assert said.startswith("--ami.secret-file: ")
    assert reason in said
    assert "hunter2" not in said


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert "No such file or directory" in refusal(f"--ami.secret-file {tmp_path}/none")
    assert "Is a directory" in refusal(f"--ami.secret-file {tmp_path}")
    assert "cannot be opened" in refusal("--ami.secret-file 'a\0b'")
    assert refusal("--ami.secret-file=").startswith("--ami.secret-file: ")
