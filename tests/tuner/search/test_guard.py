"""The guard of a rule: half of its learning rate first, doubled while the score does not fall, halved after a loss."""

from collections.abc import Callable

import pytest

from tests.tuner.search.searches import run
from zerotune.tuner.search.guard import Guard, probe_epochs
from zerotune.tuner.search.method import Method, Outcome, Proposal

CHANCE = 0.1


def guard(probes: int, *, epochs: int = 12, last_epoch: int = 6) -> Guard:
    return Guard(probes, epochs=epochs, last_epoch=lambda: last_epoch, is_lost=lambda outcome: outcome.score == CHANCE)


def probed(probes: int, score: Callable[[float], float | None]) -> tuple[list[float], float]:
    """Return the multiples that were probed, and the one that is taken."""

    def outcome(method: Method, proposal: Proposal) -> Outcome:
        factor = proposal.params["lr_factor"]
        assert isinstance(factor, float)
        return Outcome(score=score(factor), pruned=True, epoch_scores=())

    method = guard(probes)
    asked, _ = run(method, outcome, num_workers=2)
    factors = [float(proposal.params["lr_factor"]) for proposal in asked]  # type: ignore[arg-type]
    return factors, method.factor


@pytest.mark.parametrize(
    ("probes", "score", "factors", "taken"),
    [
        (1, lambda factor: 0.9, [0.5], 0.5),
        (2, lambda factor: 0.9, [0.5, 1.0], 1.0),  # an equal score is no fall
        (2, lambda factor: 0.9 - factor / 10, [0.5, 1.0], 0.5),
        (3, lambda factor: factor, [0.5, 1.0, 2.0], 2.0),
        (3, lambda factor: 0.9 if factor < 1 else CHANCE, [0.5, 1.0], 0.5),
        (2, lambda factor: 0.9 if factor < 0.5 else CHANCE, [0.5, 0.25], 0.25),
        (3, lambda factor: 0.9 if factor < 0.5 else CHANCE, [0.5, 0.25], 0.25),  # what was lost is not probed again
        (2, lambda factor: CHANCE, [0.5, 0.25], 0.125),
        (2, lambda factor: None, [0.5], 0.5),  # a failure, or a spent budget, decides nothing
        (2, lambda factor: 0.9 if factor < 1 else None, [0.5, 1.0], 0.5),
    ],
)
def test_the_largest_multiple_before_the_score_falls_is_taken(
    probes: int, score: Callable[[float], float | None], factors: list[float], taken: float
) -> None:
    assert (factors, taken) == probed(probes, score)


def test_a_probe_ends_past_the_warm_up_and_a_whole_training_is_not_cut_short() -> None:
    method = guard(2)
    assert [True] * 5 + [False] == [method.report(0, epoch, 0.5) for epoch in range(1, 7)]
    whole = guard(2, epochs=6, last_epoch=6)
    assert whole.report(0, 6, 0.5)


@pytest.mark.parametrize(("warmup", "epochs", "last"), [(4.0, 12, 8), (8.0, 12, 10), (0.25, 20, 11), (0.0, 1, 1)])
def test_a_probe_trains_half_of_what_follows_its_warm_up(warmup: float, epochs: int, last: int) -> None:
    assert last == probe_epochs(warmup, epochs)
