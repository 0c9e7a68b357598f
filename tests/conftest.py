"""What all tests need."""

import asyncio
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_stray_loop() -> Iterator[None]:
    """Set a loop before anybody asks for the current one, and close it.

    pytest-asyncio asks when none is set; Python before 3.14 then makes one that nobody closes, and its
    ResourceWarning would fail whichever test the garbage collector runs in.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()
