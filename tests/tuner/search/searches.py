"""Searches without trainings: hyperparameters have a known quality, and any number of workers ask and tell."""

import math
import random
from collections.abc import Callable, Mapping

from zerotune.trainers.spec import OptionValue
from zerotune.tuner.search.method import Method, Outcome, Proposal
from zerotune.tuner.study import DEFAULTS

NUM_TRIALS = 18
NUM_EPOCHS = 9

Params = Mapping[str, OptionValue]
FAILED = Outcome(score=None, pruned=False, epoch_scores=())


def quality(params: Params) -> float:
    """Return the quality of hyperparameters: the optimum is 0 at lr = 0.1, all others are negative."""
    if "rule" in params:
        return -0.5
    if "default" in params:
        return -float(list(DEFAULTS).index(str(params["default"])))
    distance = math.log10(float(params["lr"])) + 1  # type: ignore[arg-type]
    momentum = params.get("momentum", 0.5)
    assert isinstance(momentum, float)
    return -(distance**2) - (momentum - 0.8) ** 2


def train(method: Method, proposal: Proposal) -> Outcome:
    """Simulate a training of NUM_EPOCHS epochs whose score rises to the quality of its hyperparameters."""
    scores: list[float] = []
    for epoch in range(1, NUM_EPOCHS + 1):
        scores.append(quality(proposal.params) - 1 / epoch)
        if epoch < NUM_EPOCHS and not method.report(proposal.index, epoch, scores[-1]):
            return Outcome(score=scores[-1], pruned=True, epoch_scores=tuple(scores))
    return Outcome(score=scores[-1], pruned=False, epoch_scores=tuple(scores))


def run(
    method: Method,
    outcome_of: Callable[[Method, Proposal], Outcome] = train,
    *,
    num_workers: int = 1,
    chance: random.Random | None = None,
) -> tuple[list[Proposal], dict[int, Outcome]]:
    """Ask and tell until the method is done; `chance` picks the running trial that ends next."""
    chance = chance or random.Random(0)
    proposals: list[Proposal] = []
    running: dict[int, Outcome] = {}
    outcomes: dict[int, Outcome] = {}
    while True:
        answer = method.ask() if len(running) < num_workers else "wait"
        if isinstance(answer, Proposal):
            proposals.append(answer)
            running[answer.index] = outcome_of(method, answer)
        elif running:
            index = chance.choice(sorted(running))
            outcomes[index] = running.pop(index)
            method.tell(index, outcomes[index])
        else:
            assert answer == "done"  # never "wait" with nothing to wait for
            return proposals, outcomes
