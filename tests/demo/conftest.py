"""A demo PBX that listens, and a client that has logged in to it."""

from collections.abc import AsyncIterator

import pytest

from exporter.demo import DemoPbx
from harness.ami_client import Client
from harness.pbx import FaultyPbx


@pytest.fixture
async def pbx() -> AsyncIterator[FaultyPbx]:
    pbx = FaultyPbx(write=("call", "reporting", "system", "originate"))
    await pbx.start()
    yield pbx
    await pbx.stop()


@pytest.fixture
async def client(pbx: DemoPbx) -> AsyncIterator[Client]:
    async with await Client.connect(pbx) as client:
        yield client
