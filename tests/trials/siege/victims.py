"""Who is besieged, and how each is set up: the exporter, or Debian's node_exporter."""

import datetime
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import bcrypt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from harness.running import Exporter
from tests.trials.siege.pbx import SECRET

EXPORTER: Final = "exporter"
NODE_EXPORTER: Final = "node_exporter"
VICTIMS: Final = (EXPORTER, NODE_EXPORTER)
PEERS: Final = 3000
TARGETS: Final = 300
DESCRIPTORS: Final = 40
COST: Final = 12
"""Of the passwords' bcrypt."""
PASSWORDS: Final = {"prometheus": "known from the start", "late": "not seen before the siege"}
_CACHE: Final = Path.home() / ".cache/asterisk-fax-exporter/node_exporter"
_PACKAGE: Final = "prometheus-node-exporter"


@dataclass(frozen=True)
class Setup:
    """How a victim is set up."""

    users: bool = False
    tls: bool = False
    peers: int = 0
    """That the PBX has shown before."""
    targets: int = 1
    descriptors: int = 0
    """All that it may open; 0 for as many as usual."""


SETUPS: Final[Mapping[str, Setup]] = {
    "open": Setup(),
    "users": Setup(users=True),
    "tls": Setup(users=True, tls=True),
    "peers": Setup(peers=PEERS),
    "descriptors": Setup(descriptors=DESCRIPTORS),
    "fleet": Setup(targets=TARGETS),
}


class Besieged(Exporter):
    """An exporter that watches the PBX as target `pbx`."""

    def __init__(self, setup: Setup, pbx_port: int, web_file: Path | None, folder: Path) -> None:
        target = {"username": "demo", "secret_env": "SIEGE_SECRET"}
        # Nobody listens there, so that these cost no polls.
        others = {f"other-{n:03}": target | {"port": 1} for n in range(setup.targets - 1)}
        file = folder / f"exporter-{setup.targets}-{pbx_port}.yml"
        file.write_text(json.dumps({"targets": {"pbx": target | {"port": pbx_port}} | others}))
        flags = [f"--config.file={file}"]
        if web_file is not None:
            flags.append(f"--web.config.file={web_file}")
        if setup.peers:
            flags += ["--metrics.peer-label", f"--metrics.peer-limit={2 * setup.peers}"]
        super().__init__(*flags, environment={"SIEGE_SECRET": SECRET})
        if setup.descriptors:
            limit = f"--nofile={setup.descriptors}:{setup.descriptors}"
            self._command = ["prlimit", limit, *self._command]


class NodeExporter(Exporter):
    """Debian's node_exporter, with the same web configuration file."""

    def __init__(self, setup: Setup, web_file: Path | None) -> None:
        super().__init__(pattern=r'Listening on.*address="?([^\s"]+)')
        command = [node_exporter(), "--web.listen-address=127.0.0.1:0"]
        if web_file is not None:
            command.append(f"--web.config.file={web_file}")
        limit = [f"--nofile={setup.descriptors}:{setup.descriptors}"] if setup.descriptors else []
        self._command = [*(["prlimit", *limit] if limit else []), *command]
        self._scheme = "https" if setup.tls else "http"

    def __enter__(self) -> "NodeExporter":
        super().__enter__()
        self.url = f"{self._scheme}://{self.url}/metrics"
        return self


def node_exporter() -> str:
    """The program: one that is installed, or else Debian's package, unpacked where nothing starts
    it as a service. Raises SystemExit where there is neither."""
    if found := shutil.which(_PACKAGE) or shutil.which("node_exporter"):
        return found
    unpacked = _CACHE / "usr/bin" / _PACKAGE
    if not unpacked.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["apt-get", "download", "--quiet=2", _PACKAGE], cwd=_CACHE, check=True)
            (package,) = _CACHE.glob(f"{_PACKAGE}_*.deb")
            subprocess.run(["dpkg", "-x", package, _CACHE], check=True)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            sys.exit(f"no node_exporter: {error}; on Debian: apt-get install {_PACKAGE}")
    return str(unpacked)


def write_web_file(setup: Setup, folder: Path) -> Path | None:
    """--web.config.file of a setup, both exporters read the same; None if it needs none."""
    config: dict[str, object] = {}
    if setup.users:
        config["basic_auth_users"] = {
            user: bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode()
            for user, password in PASSWORDS.items()
        }
    if setup.tls:
        certificate = _certificate(folder / "web.pem")
        config["tls_server_config"] = {"cert_file": str(certificate), "key_file": str(certificate)}
    if not config:
        return None
    file = folder / "web.yml"
    file.write_text(json.dumps(config))
    return file


def _certificate(path: Path) -> Path:
    """With a key of RSA-4096, the slowest that is in use."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    return path
