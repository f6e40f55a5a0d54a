"""A transport that leads nowhere, for tests that call data_received themselves."""

import asyncio


class NowhereTransport(asyncio.Transport):
    """Forgets what is written."""

    max_size = 0  # the connection sets it

    def write(self, data: object) -> None:
        """Forgets it."""

    def abort(self) -> None:
        """Does nothing; likewise the two below."""

    def pause_reading(self) -> None:
        """See abort."""

    def resume_reading(self) -> None:
        """See abort."""
