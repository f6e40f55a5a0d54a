"""The two files as tests write them."""

from pathlib import Path
from textwrap import dedent
from typing import Final

TWO_TARGETS: Final = """
targets:
  fax-berlin:  {host: 10.0.0.5, username: fax-exporter, secret_file: berlin}
  fax-paris:   {host: pbx2.example, port: 5039, tls: true, username: fax, secret_env: PARIS_SECRET}
"""
HASH: Final = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
WEB: Final = "web.yml"


def targets_file(directory: Path, text: str | bytes) -> Path:
    """A file of targets, and beside it a secret that it may name."""
    (directory / "berlin").write_text("from a file\n")
    path = directory / "exporter.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def web_file(folder: Path, text: str) -> Path:
    """A file for --web.config.file."""
    path = folder / WEB
    path.write_text(dedent(text))
    return path


def tls(**keys: str) -> str:
    """The section with the files of the fixture `ca`, and these keys."""
    given = {"cert_file": "fax.pem", "key_file": "fax.key"} | keys
    return "tls_server_config:\n" + "".join(f"  {key}: {value}\n" for key, value in given.items())
