"""Messages between the Ray driver and its workers.

A worker's step returns `Ready`, `Idle`, `BenchmarkResult` or `ProgressUpdates`. The driver answers into the worker's
mailbox with an `Assignment`, a `BenchmarkTask`, CONTINUE or PRUNED (after an update of a trial that may be pruned),
RENEW (after a failed trial), or STOP.

Tune has no channel from the driver to a running trial; the mailbox, a small actor, provides one. This module must not
import torch, which would delay that actor's start by seconds.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing torch would delay the mailbox by seconds
    from collections.abc import Mapping

    from ....trainers.packing.benchmark import PackSpeed
    from ....trainers.spec import Placement
    from ...trial import Trial
    from ..progress_update import ProgressUpdate

CONTINUE = "continue"
PRUNED = "pruned"
RENEW = "renew"
"""The worker ends, and Tune starts it in a new process, since a failed trial may have left anything behind."""
STOP = "stop"
MAILBOX_LOST = "MAILBOX LOST"
"""Error message of a worker that dies because it can no longer read its mailbox."""
UPDATE_SECONDS = 2.0
"""Time between reports of a worker, in whole epochs; a trial that may be pruned reports every epoch."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """First message of a worker, also after a restart that lost its trials.

    Attributes:
        mailbox: name of the mailbox that the worker reads.
        problem: why the worker's machine cannot train this study; None if it can.
        place: the worker's process and its log, for a user who looks for it.
    """

    mailbox: str
    problem: str | None = None
    place: str = ""


@dataclass(frozen=True)
class Idle:
    """Message of a worker whose mailbox stayed empty."""


@dataclass(frozen=True)
class ProgressUpdates:
    """Progress of the trials that a worker holds, by trial id. Not a dict, which Tune would flatten."""

    updates: Mapping[str, ProgressUpdate]


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Trials to train: one, a pack of one form, or several short ones.

    Attributes:
        trials: one or more.
        placements: one for each trial.
        as_pack: whether they are trained at once, as a pack; otherwise one after the other.
        may_be_pruned: whether the worker asks the driver after every epoch; for a single trial only.
        time_limit: seconds after which the worker's process ends itself, > 0; None for no limit.
    """

    trials: tuple[Trial, ...]
    placements: tuple[Placement, ...]
    as_pack: bool = False
    may_be_pruned: bool = False
    time_limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class BenchmarkTask:
    """A request to measure the speed of packs of trainings of this form; `time_limit` as in `Assignment`."""

    trial: Trial
    placement: Placement
    time_limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult:
    """The measured speed; None if the training itself cannot start, which its own attempt will report."""

    speed: PackSpeed | None


class Mailbox:
    """Named queues, to run as a Ray actor.

    A worker names a new queue at each start, so that nothing is ever sent to a process that has died. Items are bytes,
    because decoding them would import torch here, which takes seconds.
    """

    def __init__(self) -> None:
        self._queues: dict[str, asyncio.Queue[bytes]] = defaultdict(asyncio.Queue)

    async def put(self, name: str, item: bytes) -> None:
        """Append an item to a queue."""
        await self._queues[name].put(item)

    async def take(self, name: str, seconds: float) -> bytes | None:
        """Remove and return the oldest item under this name; None if none arrives within `seconds`."""
        try:
            return await asyncio.wait_for(self._queues[name].get(), seconds)
        except TimeoutError:
            return None
