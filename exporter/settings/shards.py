"""Which share of the targets one belongs to: two rules, which others can compute too.

hashmod is Prometheus' relabel action of that name: the last 8 bytes of the name's MD5, modulo the
count. rendezvous takes the share for which SHA-256 of 'NAME/INDEX', in hexadecimal, is largest:
where a share is added, targets move to it alone, and where the last is taken away, from it alone.
"""

import hashlib
from typing import Final

from exporter.settings.values import Shard, ShardBy

HASHMOD: Final[ShardBy] = "hashmod"
RENDEZVOUS: Final[ShardBy] = "rendezvous"


def share_of(name: str, count: int, by: ShardBy = HASHMOD) -> Shard:
    """Return the share, of `count`, that a target belongs to by its name."""
    index = _rendezvous(name, count) if by == RENDEZVOUS else _hashmod(name, count)
    return Shard(index, count, by)


def _hashmod(name: str, count: int) -> int:
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "big") % count


def _rendezvous(name: str, count: int) -> int:
    # No name has a slash, so that no two pairs are one text. The chart computes the same.
    return max(range(count), key=lambda i: hashlib.sha256(f"{name}/{i}".encode()).digest())
