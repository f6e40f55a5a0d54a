"""Whose login is verified next, and whose has to come again: turns by client.

Pure bookkeeping: what a login is, how long it takes and whether it is right is known elsewhere. A
client is what addresses.client_of says.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import Final, Generic, TypeVar

MAX_WAITING: Final = 64
"""Logins that wait, of all clients together."""
MAX_WAITING_EACH: Final = 8
"""Of those, the ones of one client."""
MAX_REMEMBERED: Final = 1024
"""Clients of whom it is known that their last login was wrong."""

Login = TypeVar("Login")


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[Login]):
    login: Login
    client: str


class LoginQueue(Generic[Login]):
    """Logins that wait. First comes the first one of each client, then the second of each, and so
    on. Among these, a client whose last login was right, or who is new, comes before those who were
    wrong; of them, the one whose turn is longest ago. So whoever guesses waits for all others, and
    however many guess, who does not is next.

    If there are too many, the last in this order has no place any more.
    """

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: list[_Waiting[Login]] = []  # in the order in which they came
        self._number = count(1)
        self._wrong: dict[str, int] = {}  # when each was wrong last, in that order

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, login: Login, client: str) -> Login | None:
        """A login that waits from now on. Returns the one that has no place because of it: this
        one, or another that waited; None if there is room for all."""
        if sum(each.client == client for each in self._waiting) >= MAX_WAITING_EACH:
            return login
        self._waiting.append(_Waiting(login, client))
        if len(self._waiting) <= MAX_WAITING:
            return None
        return self._remove(self._in_order()[-1])

    def take(self) -> Login | None:
        """The one whose turn it is, which waits no more; None if there is none."""
        return self._remove(self._in_order()[0]) if self._waiting else None

    def drop(self, login: Login) -> bool:
        """Nobody wants this any more. Returns False if it does not wait."""
        for each in self._waiting:
            if each.login == login:
                self._remove(each)
                return True
        return False

    def was_right(self, client: str) -> None:
        """A login of this client was right."""
        self._wrong.pop(client, None)

    def was_wrong(self, client: str) -> None:
        """A login of this client was wrong."""
        self._wrong.pop(client, None)
        self._wrong[client] = next(self._number)
        if len(self._wrong) > MAX_REMEMBERED:
            del self._wrong[next(iter(self._wrong))]

    def _in_order(self) -> list[_Waiting[Login]]:
        before: Counter[str] = Counter()
        ranks: dict[_Waiting[Login], tuple[int, int]] = {}
        for each in self._waiting:
            ranks[each] = (before[each.client], self._wrong.get(each.client, 0))
            before[each.client] += 1
        return sorted(ranks, key=lambda each: ranks[each])

    def _remove(self, one: _Waiting[Login]) -> Login:
        self._waiting.remove(one)
        return one.login
