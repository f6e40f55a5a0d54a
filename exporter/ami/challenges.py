"""The challenges that one PBX has sent at logins, to notice one that it sends again.

The key of a login is md5(challenge + secret). To answer a challenge once more tells nobody more
than the first answer did; but who heard that can now log in with it. So it is noticed, not refused.
"""

import hashlib
from collections import deque
from typing import Final

MOST_KEPT: Final = 100
"""Challenges of the last logins. Asterisk draws from a thousand million: that one of a hundred
comes again by chance is not to be expected in ten million logins."""
_BYTES: Final = 16


class Challenges:
    """Those of the last logins, as digests: each has the same size, whatever was sent."""

    def __init__(self) -> None:
        self._seen: deque[bytes] = deque(maxlen=MOST_KEPT)
        self.repeated = False
        """The last one had come before."""

    def take(self, challenge: str) -> None:
        """One that is about to be answered."""
        given = challenge.encode("utf-8", "replace")
        digest = hashlib.blake2b(given, digest_size=_BYTES).digest()
        self.repeated = digest in self._seen
        self._seen.append(digest)
