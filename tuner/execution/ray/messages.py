"""What the Ray driver and its workers say to each other.

A worker's step returns `Ready`, `Idle`, `BenchmarkResult` or `ProgressUpdates`. The driver answers into the worker's
mailbox with an `Assignment`, a `BenchmarkTask`, CONTINUE or PRUNED (after an update of a trial that may be pruned), or
STOP.

Tune has no channel from the driver to a running trial; the mailbox, a small actor, is one. This module must not import
torch, which would take that actor's process seconds.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing torch would take the mailbox's process seconds
    from collections.abc import Mapping

    from ....trainers.packing.benchmark import PackSpeed
    from ....trainers.spec import Placement
    from ...trial import Trial
    from ..progress_update import ProgressUpdate

CONTINUE = "continue"
PRUNED = "pruned"
STOP = "stop"
MAILBOX_LOST = "MAILBOX LOST"
"""Said by a worker that dies because it cannot read its mailbox any more."""
UPDATE_SECONDS = 2.0
"""How long a worker trains before it reports, epochs being whole; a trial that may be pruned reports every epoch."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A worker's first word, also after it was started again and has lost what it held.

    Attributes:
        mailbox: that it will read.
        problem: why it can train nothing of this study on the machine it is on; None where it can.
    """

    mailbox: str
    problem: str | None = None


@dataclass(frozen=True)
class Idle:
    """A worker's word when nothing came."""


@dataclass(frozen=True)
class ProgressUpdates:
    """A piece of the work on the trials that a worker holds, by trial id. No dict: Tune would flatten it."""

    updates: Mapping[str, ProgressUpdate]


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Trials to train: one, a pack of one form, or several short ones.

    Attributes:
        trials: one or more.
        placements: of each of them.
        at_once: whether they are trained at once, as a pack; else one after the other.
        may_be_pruned: whether the driver is asked after every epoch; for a single trial only.
        time_limit: seconds after which the worker's process ends itself, > 0; None for never.
    """

    trials: tuple[Trial, ...]
    placements: tuple[Placement, ...]
    as_pack: bool = False
    may_be_pruned: bool = False
    time_limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class BenchmarkTask:
    """A request to find out how fast packs of trainings of this form are; `time_limit` as of an `Assignment`."""

    trial: Trial
    placement: Placement
    time_limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """What was found; None where the training itself cannot be begun, which its own attempt will tell."""

    speed: PackSpeed | None


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
