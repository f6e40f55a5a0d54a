"""How long to wait before the next attempt to connect to an Asterisk: failures in, pauses out.

A value without a clock or chance of its own: time and jitter are arguments.
"""

import math
from dataclasses import dataclass
from typing import Final

FIRST_PAUSE: Final = 1.0
"""Seconds at most before the first attempt after a connection with a successful poll that did not
hold; doubled by each failure."""
LONGEST_PAUSE: Final = 60.0
REFUSED_PAUSE: Final = 60.0
"""Seconds before a refused login or action is tried again: Asterisk logs each refusal, and more
frequent ones can get this host banned."""
HOLDS: Final = 10.0
"""Seconds after its login from which on a connection holds: when it is lost, the next attempt is
made at once, since the faxes of each second without one are not seen. Never after a shorter one,
or a PBX that ends every connection would be asked without a pause."""
RETURN_PAUSE: Final = 3.0
"""Seconds at most before the next attempt to connect to an Asterisk that was shutting down."""
RETURN_SECONDS: Final = 180.0
"""Seconds in which an Asterisk that was shutting down is expected back, from its end on."""
QUICK_PAUSE: Final = 0.25
"""Seconds at most before each of the attempts after that, for a second or two: an Asterisk that is
restarted listens again after half of one. Until it does, nothing of it but the kernel answers. Also
between polls while it may still load res_fax."""
_AT_ONCE: Final = -8
"""Failures to begin with after a connection that held: up to 0 the attempts are quick."""
_MAX_DOUBLINGS: Final = 10
"""Enough to reach LONGEST_PAUSE; without a limit the power overflows after 1000 failures."""


@dataclass(frozen=True)
class Backoff:
    """How the attempts to connect have gone so far."""

    failures: int = 0
    """Attempts in a row that brought no successful poll; below 0 after one that held."""
    least: float = 0.0
    """Seconds to wait at least: REFUSED_PAUSE from a refused login until a login succeeds."""
    expected_by: float = -math.inf
    """Monotonic seconds: until when an Asterisk that was shutting down may be back any moment."""

    def after(
        self,
        now: float,
        *,
        refused: bool,
        shutting_down: bool,
        logged_in: bool,
        polled: bool,
        held: bool,
    ) -> "Backoff":
        """The value after one more attempt, which has ended at `now`, monotonic seconds.

        `refused`: the login was. `shutting_down`: Asterisk was, when last heard. `logged_in` and
        `polled`: the attempt had got as far as a login, and a successful poll. `held`: and the
        connection had lasted for HOLDS.
        """
        # One that was shutting down has ended: it is not back at once.
        begin = _AT_ONCE if held and not shutting_down else 0
        failed = self.failures + 1
        if logged_in:  # somebody is there, and ends the connection: no reason to hurry
            failed = max(1, failed)
        return Backoff(
            failures=begin if polled else failed,
            least=REFUSED_PAUSE if refused else 0.0 if logged_in else self.least,
            expected_by=now + RETURN_SECONDS if shutting_down else self.expected_by,
        )

    def pause(self, now: float, jitter: float) -> float:
        """Seconds to wait from `now` on. `jitter`: from 0 to 1, so that not all come at once."""
        if self.failures == _AT_ONCE:
            return self.least
        if self.failures < 0:
            return max(self.least, QUICK_PAUSE * (0.5 + 0.5 * jitter))
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.failures, _MAX_DOUBLINGS))
        if now < self.expected_by:
            longest = min(longest, RETURN_PAUSE)
        return max(self.least, longest * (0.5 + 0.5 * jitter))
