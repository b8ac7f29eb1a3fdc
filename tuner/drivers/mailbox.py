"""Mailboxes: how the driver hands a trial to a worker that Ray Tune keeps alive.

Tune has no channel from the driver to a running trial; this small actor is one.
"""

import asyncio
from collections import defaultdict
from typing import Any


class Mailbox:
    """Queues by name, to be made a Ray actor.

    A worker names a new queue each time it starts, so that nothing is ever handed to a process that has died.
    """

    def __init__(self) -> None:
        self._queues: dict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)

    async def put(self, name: str, item: Any) -> None:
        """Leaves an item."""
        await self._queues[name].put(item)

    async def take(self, name: str, seconds: float) -> Any:
        """The oldest item left under this name; None where none came within `seconds`."""
        try:
            return await asyncio.wait_for(self._queues[name].get(), seconds)
        except TimeoutError:
            return None
