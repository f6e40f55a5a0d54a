"""TLS to one Asterisk: the certificates it is made with, and what it means that it fails.

tls_files.py reads the files, and knows what can be wrong with them.
"""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final

from exporter.ami.diagnosis import Cause
from exporter.ami.errors import ConnectError
from exporter.settings import AmiSettings
from exporter.tls_files import load_identity, load_trusted, openssl_words, signatures


def context_of(settings: AmiSettings) -> ssl.SSLContext | None:
    """With certificates as the files have them now, so that renewed ones need no restart; None
    without TLS. Raises ConnectError."""
    if not settings.tls:
        return None
    ca, certificate, key = settings.tls_ca_file, settings.tls_cert_file, settings.tls_key_file
    system = ssl.get_default_verify_paths()
    trusted = (system.cafile, system.capath) if ca is None else (ca,)
    seen = signatures(Path(file) for file in (*trusted, certificate, key) if file is not None)
    return _context(ca, certificate, key, tuple(seen.values()))


@lru_cache(maxsize=256)
def _context(
    ca: Path | None, certificate: Path | None, key: Path | None, _signatures: tuple[object, ...]
) -> ssl.SSLContext:
    """Cached while the files are the same: reading the CAs of a system takes 20 ms, in which no
    other PBX is polled."""
    # This verifies certificate and name. create_default_context does too, but since Python 3.13
    # refuses the CAs that Asterisk's own ast_tls_cert makes.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if ca is None:
            context.load_default_certs()
        else:
            load_trusted(context, ca)
    except ValueError as error:
        raise ConnectError(f"--ami.tls-ca-file {ca}: {error}", Cause.OWN_FILES) from error
    if certificate is not None:
        try:
            load_identity(context, certificate, key)
        except ValueError as error:
            files = " and ".join(str(file) for file in (certificate, key) if file)
            raise ConnectError(f"--ami.tls-cert-file {files}: {error}", Cause.OWN_FILES) from error
    return context


_FIX_NAME: Final = "set --ami.host or --ami.tls-server-name to a name that is in it"
_FIX_TIME: Final = "renew it, or put the clocks of both machines right"
_FIX_TRUST: Final = "name its CA's file, or its own if it is self-signed, by --ami.tls-ca-file"
_CERTIFICATE_FIXES: Final = {
    9: _FIX_TIME,
    10: _FIX_TIME,
    18: _FIX_TRUST,
    19: _FIX_TRUST,
    20: _FIX_TRUST,
    21: _FIX_TRUST,
    62: _FIX_NAME,
    64: _FIX_NAME,
}
"""What to do about a refused certificate, by X509_V_ERR_... of OpenSSL's x509_vfy.h."""
_NOT_TLS: Final = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
)
"""OpenSSL's errors for an answer that is no TLS: which one depends on version and answer."""


def no_tls(error: OSError) -> tuple[str, Cause]:
    """What came back instead of a TLS connection, and what the user can do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = error.verify_message.rstrip(".")
        fix = _CERTIFICATE_FIXES.get(error.verify_code, "see --ami.tls-ca-file")
        return f"the server's certificate is refused: {text}; {fix}", Cause.CERTIFICATE
    if isinstance(error, ConnectionResetError | ssl.SSLEOFError):
        return (
            "the server ended the TLS handshake without a word; its log says why, for example "
            "that it wants a client certificate, see --ami.tls-cert-file"
        ), Cause.TLS
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if reason in _NOT_TLS:
        return (
            "what answers there speaks no TLS; is it the port of tlsbindaddr in manager.conf? "
            "For that of bindaddr leave --ami.tls off"
        ), Cause.TLS
    if "_ALERT_" in reason:
        return (
            f"the server refuses TLS with us: {openssl_words(reason.partition('_ALERT_')[2])}; "
            "if it wants a client certificate, see --ami.tls-cert-file"
        ), Cause.TLS
    if reason:
        return f"no TLS with this server: {openssl_words(reason)}", Cause.TLS
    return error.strerror or str(error), Cause.OTHER
