"""Wrong passwords, each of which costs a bcrypt."""

import base64
import itertools

from tests.trials.siege.attacking import Flood, Wire


class GuessesFromEight(Flood):
    name, point = "wrong passwords from 8 addresses", "passwords"
    setup = "users"
    sources = 8
    connections = 64
    logs_in_late = True
    least = 5.0

    async def client(self, number: int, wire: Wire) -> None:
        for each in itertools.count():
            guess = base64.b64encode(f"prometheus:{number}-{each}".encode()).decode()
            await wire.send(
                f"GET {self.victim.metrics} HTTP/1.1\r\nHost: localhost\r\n"
                f"Authorization: Basic {guess}\r\n\r\n".encode()
            )
            await wire.answer()


class GuessesFromMany(GuessesFromEight):
    name = "wrong passwords from 64 addresses"
    sources = 64
