"""The guard of a rule: a few short trainings at the target batch size that find how much of its learning rate to take.

A rule carries a baseline's learning rate to a batch size that nobody has trained at. The guard begins at half of it,
doubles while the validation score does not fall, and halves after a probe that is lost. A probe has the real training's
schedule, cut short after its warm-up: what ruins a training shows at its peak.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal

from ...trainers.spec import OptionValue
from ..study.lr_factor import LR_FACTOR
from .method import Outcome, Proposal

START = 0.5
"""Multiple of the rule's learning rate that is probed first."""

AFTER_WARMUP = 0.5
"""Share of the epochs after the warm-up that a probe trains. Soon after its peak a sound training with the larger
learning rate still scores less than one with the smaller, which it overtakes while the learning rate decays.
"""


def probe_epochs(warmup_epochs: float, epochs: int) -> int:
    """Return after which epoch a probe ends: past its warm-up, at most `epochs`.

    >>> probe_epochs(4.0, 12), probe_epochs(0.0, 12), probe_epochs(20.0, 12)
    (8, 6, 12)
    """
    return min(epochs, max(math.ceil(warmup_epochs + AFTER_WARMUP * (epochs - warmup_epochs)), 1))


class Guard:
    """The probes of a guarded rule, one after the other.

    Args:
        probes: most probes, >= 1.
        epochs: of a whole training; a probe that comes so far has not been cut short.
        last_epoch: () -> the epoch after which a probe ends; called once the rule's configuration is known.
        is_lost: outcome with a score -> whether the probe is lost: it diverged, did not learn, or collapsed.
    """

    def __init__(
        self, probes: int, *, epochs: int, last_epoch: Callable[[], int], is_lost: Callable[[Outcome], bool]
    ) -> None:
        self._probes = probes
        self._epochs = epochs
        self._last_epoch = last_epoch
        self._is_lost = is_lost
        self._asked = self._told = 0
        self._next: float | None = START
        self._sound: tuple[float, float] | None = None
        self.factor = START

    def start_from(self, params: Mapping[str, OptionValue]) -> None:
        """Ignore them: a guard starts from its rule."""

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the next probe, "wait" while one is trained, or "done"."""
        if self._told < self._asked:
            return "wait"
        if self._next is None or self._asked == self._probes:
            return "done"
        self._asked += 1
        return Proposal(index=self._asked - 1, params={LR_FACTOR: self._next})

    def report(self, index: int, epoch: int, score: float) -> bool:
        """Return whether a probe goes on after an epoch."""
        return epoch < self._last_epoch() or epoch >= self._epochs

    def tell(self, index: int, outcome: Outcome) -> None:
        """Receive a probe's outcome; one that failed or was not run decides nothing and ends the probes."""
        self._told += 1
        tried, self._next = self._next, None
        assert tried is not None
        if outcome.score is None:
            return
        if self._is_lost(outcome):
            if self._sound is None:
                self._next = self.factor = tried / 2
        elif self._sound is None or outcome.score >= self._sound[1]:
            is_halved = self._sound is None and tried < START
            self._sound, self.factor = (tried, outcome.score), tried
            self._next = None if is_halved else 2 * tried
