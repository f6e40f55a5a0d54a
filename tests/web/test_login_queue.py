"""However many guess, and however often, whoever does not guess is not kept out."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.web import login_queue
from exporter.web.login_queue import MAX_REMEMBERED, MAX_WAITING, MAX_WAITING_EACH, LoginQueue


class Guessers:
    """Clients that put all guesses into a queue that it takes, in an order that is drawn."""

    def __init__(self, count: int, data: st.DataObject) -> None:
        self.queue: LoginQueue[str] = LoginQueue()
        self._clients = [f"guesser {number}" for number in range(count)]
        self._data = data
        self._guesses = Counter[str]()
        self.lost: list[str] = []
        """Logins without a place, of whomever."""

    def guess_all(self) -> None:
        """As many guesses of each as may wait, and one more."""
        for client in self._data.draw(st.permutations(self._clients)):
            self._guess(client)

    def _guess(self, client: str) -> None:
        while True:
            self._guesses[client] += 1
            guess = f"{client}: {self._guesses[client]}"
            lost = self.queue.add(guess, client)
            if lost is not None:
                self.lost.append(lost)
            if lost == guess:
                return

    def turn(self) -> str:
        """Begins the login that is next, which is wrong, and they guess on. Returns it."""
        begun = self.queue.take()
        assert begun is not None
        client = begun.partition(":")[0]
        self.queue.was_wrong(client)
        if client in self._clients:
            self._guess(client)
        self._guess(self._data.draw(st.sampled_from(self._clients)))
        return begun

    def others_before(self, login: str) -> int:
        """How many guesses are begun before this login, while they guess on."""
        return next(number for number in range(10 * MAX_WAITING) if self.turn() == login)


# A few would prove it; at these the bounds are: one, as many as have their turn each, and more.
SOME_GUESSERS = st.sampled_from([1, 2, 7, 8, 9, 62, 63])
MANY_GUESSERS = st.sampled_from([64, 65, 100])


@settings(max_examples=30)
@given(SOME_GUESSERS, st.integers(0, 30), st.data())
def test_a_first_login_is_begun_after_at_most_one_guess_of_each_other_client(
    count: int, before: int, data: st.DataObject
) -> None:
    guessers = Guessers(count, data)
    guessers.guess_all()
    for _ in range(before):
        guessers.turn()
    guessers.lost.clear()
    assert guessers.queue.add("monitor", "monitor") != "monitor"
    assert guessers.others_before("monitor") <= count
    assert "monitor" not in guessers.lost


@settings(max_examples=30)
@given(SOME_GUESSERS | MANY_GUESSERS, st.data())
def test_a_first_login_is_next_when_all_others_have_guessed_wrong(
    count: int, data: st.DataObject
) -> None:
    guessers = Guessers(count, data)
    for number in range(count):
        guessers.queue.was_wrong(f"guesser {number}")
    guessers.guess_all()
    assert guessers.queue.add("monitor", "monitor") != "monitor"
    guessers.guess_all()
    assert guessers.others_before("monitor") == 0
    assert "monitor" not in guessers.lost


@settings(max_examples=30)
@given(SOME_GUESSERS, st.data())
def test_after_a_wrong_login_too_it_takes_at_most_one_guess_of_each_other_client(
    count: int, data: st.DataObject
) -> None:
    guessers = Guessers(count, data)
    guessers.guess_all()
    guessers.queue.was_wrong("monitor")
    guessers.queue.add("monitor", "monitor")
    guessers.guess_all()
    assert guessers.others_before("monitor") <= count
    assert "monitor" not in guessers.lost


def test_one_client_has_its_turns_in_the_order_in_which_it_came() -> None:
    queue: LoginQueue[int] = LoginQueue()
    for login in range(MAX_WAITING_EACH):
        assert queue.add(login, "one") is None
    assert queue.add(8, "one") == 8
    assert [queue.take() for _ in range(MAX_WAITING_EACH + 1)] == [*range(MAX_WAITING_EACH), None]


def test_the_first_of_each_client_comes_before_the_second_of_any() -> None:
    queue: LoginQueue[str] = LoginQueue()
    for login in ("a1", "a2", "a3", "b1", "b2", "c1"):
        queue.add(login, login[0])
    begun = []
    while (next_login := queue.take()) is not None:
        begun.append(next_login)
        queue.was_wrong(next_login[0])
    assert begun == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_in_turn_is_who_was_wrong_longest_ago_and_before_it_who_was_not() -> None:
    queue: LoginQueue[str] = LoginQueue()
    for client in ("a", "b", "c", "d", "a", "d"):
        queue.was_wrong(client)
    queue.was_right("d")
    for client in ("a", "b", "c", "d", "e"):
        queue.add(client, client)
    assert [queue.take() for _ in range(5)] == ["d", "e", "b", "c", "a"]


def test_if_all_is_taken_the_newest_of_the_client_with_most_makes_room() -> None:
    queue: LoginQueue[str] = LoginQueue()
    for client in ("a", "b"):
        for number in range(MAX_WAITING_EACH):
            queue.add(f"{client}{number}", client)
    queue.drop("a0")
    for number in range(MAX_WAITING - 2 * MAX_WAITING_EACH + 1):
        assert queue.add(f"other {number}", f"other {number}") is None
    assert len(queue) == MAX_WAITING
    assert queue.add("new 1", "new") == "b7"
    assert queue.add("new 2", "new") == "b6"
    assert queue.add("new 3", "new") == "a7"
    assert len(queue) == MAX_WAITING


def test_if_all_is_taken_by_clients_of_one_login_each_a_further_one_has_to_come_again() -> None:
    queue: LoginQueue[int] = LoginQueue()
    for login in range(MAX_WAITING):
        queue.add(login, str(login))
    assert queue.add(-1, "new") == -1
    queue.was_wrong("5")
    assert queue.add(-2, "new") == 5


def test_what_is_dropped_waits_no_more() -> None:
    queue: LoginQueue[str] = LoginQueue()
    queue.add("a", "a")
    queue.add("b", "b")
    assert queue.drop("a")
    assert not queue.drop("a")
    assert queue.take() == "b"
    assert not queue.drop("b")
    assert len(queue) == 0


def test_of_endless_addresses_only_the_last_that_were_wrong_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert MAX_REMEMBERED >= 10 * MAX_WAITING
    monkeypatch.setattr(login_queue, "MAX_REMEMBERED", 3)
    queue: LoginQueue[str] = LoginQueue()
    for client in ("a", "b", "c", "a", "d", "e"):
        queue.was_wrong(client)
    for client in ("a", "c", "b", "d", "e"):
        queue.add(client, client)
    assert [queue.take() for _ in range(5)] == ["c", "b", "a", "d", "e"]
