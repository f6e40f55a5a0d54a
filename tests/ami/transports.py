"""A transport for tests that hand bytes to a connection themselves."""

import asyncio


class Unread(asyncio.Transport):
    """A transport that takes what is written; what comes, a test hands to the protocol itself."""

    max_size = 0

    def write(self, data: object) -> None:
        pass

    def abort(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass
