"""Certificates and keys for tests, written into files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


def written(pem: trustme.Blob, path: Path) -> Path:
    """Writes it there; returns the path."""
    pem.write_to_path(path)
    path.chmod(0o600)  # as the file of a key has to be, or the exporter warns of it
    return path


def renew_server_certificate(ca: trustme.CA, folder: Path) -> None:
    """Writes another certificate for 127.0.0.1 and its key: fax.pem and fax.key."""
    server = ca.issue_cert("127.0.0.1")
    written(server.cert_chain_pems[0], folder / "fax.pem")
    written(server.private_key_pem, folder / "fax.key")


def make_certificate(
    path: Path, name: str, signer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None
) -> tuple[x509.Name, ec.EllipticCurvePrivateKey]:
    """Writes a key and its certificate, without any name but CN: self-signed, or by this signer."""
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    key = ec.generate_private_key(ec.SECP256R1())
    issuer, signing_key = signer or (subject, key)
    certificate = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    path.write_bytes(pem_of(key) + certificate.public_bytes(Encoding.PEM))
    return subject, key


def pem_of(key: ec.EllipticCurvePrivateKey, phrase: bytes = b"") -> bytes:
    """A private key, encrypted if there is a pass phrase."""
    encryption = BestAvailableEncryption(phrase) if phrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
