"""What a server shows to its clients: fax.pem and fax.key, from a CA of the test."""

from pathlib import Path

import trustme


def renewed(ca: trustme.CA, folder: Path) -> None:
    """Writes another certificate for 127.0.0.1, and its key."""
    server = ca.issue_cert("127.0.0.1")
    server.cert_chain_pems[0].write_to_path(folder / "fax.pem")
    server.private_key_pem.write_to_path(folder / "fax.key")
