"""Warnings about what is set and probably not meant. Nothing is refused for it.

A login may work all the same, and whoever mounts a file decides who may read it.
"""

from pathlib import Path

from exporter.settings.file_modes import read_by_all, written_by_all
from exporter.settings.models import AmiSettings
from exporter.settings.web_config import WebConfig
from exporter.settings.web_protection import Protection


def secret_cautions(settings: AmiSettings) -> list[str]:
    """Return what may be wrong with a secret, and what to do; never the secret."""
    file = settings.secret_file
    name = settings.secret_is_set_by if file is None else str(file)
    secret = settings.secret.get_secret_value()
    cautions = []
    if secret != secret.strip(" "):
        cautions.append(
            f"{name}: the secret has blanks at an end, and manager.conf takes them away: "
            "if the login is refused, take them away here too"
        )
    if ";" in secret:
        cautions.append(
            f"{name}: the secret has a ';', where manager.conf ends a value: there it has to "
            "have a backslash before it"
        )
    return cautions


def login_cautions(settings: AmiSettings) -> list[str]:
    """Return what may be wrong with the files of a secret and of a certificate's key, and what to
    do. Several targets can have the same file."""
    files = (settings.secret_file, settings.tls_key_file or settings.tls_cert_file)
    return [caution for file in files if file is not None for caution in read_by_all(file)]


def targets_cautions(file: Path) -> list[str]:
    """Return what may be wrong with the file of targets itself, and what to do."""
    return written_by_all(file)


def web_cautions(file: Path | None, config: WebConfig, *, show_details: bool) -> list[str]:
    """Return what may be wrong with the file of --web.config.file, with its key, or with showing
    details to whoever it lets in, and what to do."""
    cautions = []
    if file is not None:
        cautions += written_by_all(file)
    if config.key_file is not None:
        cautions += read_by_all(config.key_file)
    if show_details and not config.protections & {Protection.USERS, Protection.CLIENT_CERTIFICATES}:
        cautions.append(
            "--web.show-details: file names, channel names and station ids are personal data, and "
            "everybody who reaches the port is shown them: name users in --web.config.file"
        )
    return cautions
