"""A transport for a protocol whose bytes a test delivers itself."""

import asyncio


class Unread(asyncio.Transport):
    """Takes what is written and tells nobody."""

    max_size = 0

    def write(self, data: object) -> None:
        """Forgets it."""

    def abort(self) -> None:
        """Does nothing; likewise the two below."""

    def pause_reading(self) -> None:
        """See abort."""

    def resume_reading(self) -> None:
        """See abort."""
