"""What the Ray driver and its workers say to each other.

A worker's step says `Ready`, `Idle`, `Measured` or the slices of what it trains; the driver answers into the worker's
mailbox with an `Assignment`, a `Measurement` to make, CONTINUE or PRUNED (after a slice of a trial that may be pruned)
or STOP.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ....trainers.packing.benchmark import PackSpeed
from ....trainers.spec import Placement
from ...trial import Trial
from ..progress_update import Slice

CONTINUE = "continue"
PRUNED = "pruned"
STOP = "stop"
MAILBOX_LOST = "MAILBOX LOST"
"""Said by a worker that dies because it cannot read its mailbox any more."""
SLICE_SECONDS = 2.0
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
class Slices:
    """A piece of the work on the trials that a worker holds, by trial id. No dict: Tune would flatten it."""

    pieces: Mapping[str, Slice]


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
    at_once: bool = False
    may_be_pruned: bool = False
    time_limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A request to find out how fast packs of trainings of this form are; `time_limit` as of an `Assignment`."""

    trial: Trial
    placement: Placement
    time_limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was found; None where the training itself cannot be begun, which its own attempt will tell."""

    speed: PackSpeed | None
