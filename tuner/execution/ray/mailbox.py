"""Mailboxes: how the driver hands a trial to a worker that Ray Tune keeps alive.

Tune has no channel from the driver to a running trial; this small actor is one.
"""

import asyncio
from collections import defaultdict


class Mailbox:
    """Queues by name, to be made a Ray actor.

    A worker names a new queue each time it starts, so that nothing is ever handed to a process that has died. Items are
    bytes: to read them would take this process the seconds of importing torch.
    """

    def __init__(self) -> None:
        self._queues: dict[str, asyncio.Queue[bytes]] = defaultdict(asyncio.Queue)

    async def put(self, name: str, item: bytes) -> None:
        """Leaves an item."""
        await self._queues[name].put(item)

    async def take(self, name: str, seconds: float) -> bytes | None:
        """The oldest item left under this name; None where none came within `seconds`."""
        try:
            return await asyncio.wait_for(self._queues[name].get(), seconds)
        except TimeoutError:
            return None
