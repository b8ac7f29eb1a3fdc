"""Small studies that a figure must survive: one seed, lost seeds, many arms, perplexities, ties, scores near 1."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.synthetic_study import epoch_metrics, facts, result
from zerotune.tuner.analysis.study_facts import StudyFacts
from zerotune.tuner.study.search_space import Float
from zerotune.tuner.trial import TrialResult

Case = tuple[StudyFacts, list[TrialResult]]
MANY = ("tuned", "date", "legw", "sqrt", "linear", "constant", "adamw", "muon", "lars", "lamb", "prodigy", "dog")
MANY_ARMS = (*MANY, "schedule_free_adamw", "best_of_3_defaults")
DIVERGED, FAILED = math.inf, None
"""What stands for a score of a run that diverged, and of one that failed."""


def study(
    tests: Mapping[tuple[str, int], list[float | None]], *, chance: float = 0.1, metric: str = "accuracy"
) -> Case:
    """Return a study with the test scores of its arms by arm and batch size, of "baseline" at 256.

    Every arm trains ten epochs a run; "tuned" searched with eight trials.
    """
    arms = tuple(dict.fromkeys(arm for arm, _ in tests if arm != "baseline"))
    sizes = tuple(sorted({size for arm, size in tests if arm != "baseline"}))
    higher_is_better = metric == "accuracy"
    made = facts(
        arms=arms,
        zero_tuning_arms=tuple(arm for arm in arms if arm != "tuned"),
        batch_sizes=sizes,
        chance_score=chance,
        metric=metric,
        higher_is_better=higher_is_better,
        spaces={"tuned": {"lr": Float(low=0.01, high=1.28, scale="log")}},
    )
    results = []
    for place, ((arm, size), scores) in enumerate(tests.items()):
        results += [_run(arm, size, seed, score, place, chance) for seed, score in enumerate(scores)]
        if arm in ("tuned", "baseline"):
            best = max((score for score in scores if score not in (DIVERGED, FAILED)), default=chance)
            results += _search(arm, size, best, chance)
    return made, results


def _run(arm: str, size: int, seed: int, score: float | None, place: int, chance: float) -> TrialResult:
    status = "failed" if score is FAILED else "diverged" if score == DIVERGED else "finished"
    epochs = 10 if status == "finished" else 4
    end = chance if status == "diverged" else score
    found = result(
        arm, size, "confirmation", seed, validation=end, test=end, status=status, epochs=epochs, lr=0.1 + 0.01 * place
    )
    return _with_epochs(found, chance, None if status != "finished" else score)


def _with_epochs(found: TrialResult, start: float, end: float | None) -> TrialResult:
    number = found.cost.epochs
    scores = [math.nan if end is None else end + (start - end) * 0.5**epoch for epoch in range(1, number)]
    scores.append(math.nan if end is None else end)
    return replace(found, epochs=tuple(epoch_metrics(epoch, score) for epoch, score in enumerate(scores, start=1)))


def _search(arm: str, size: int, best: float, chance: float) -> list[TrialResult]:
    role = "baseline" if arm == "baseline" else "search"
    scores = [best + (chance - best) * 0.01 * abs(index - 5) ** 2 for index in range(8)]
    return [
        result(arm, size, role, index, validation=score, epochs=10, lr=0.01 * 2**index)
        for index, score in enumerate(scores)
    ]


def one_seed() -> Case:
    return study({("baseline", 256): [0.975], ("tuned", 1024): [0.97], ("date", 1024): [0.968]})


def lost_seeds() -> Case:
    """One seed ends at chance, one diverges, one fails: 97.7, 75.3, 10.6 once were "59.91% ± 109.09"."""
    return study(
        {
            ("baseline", 256): [0.975, 0.972, 0.978],
            ("tuned", 1024): [0.97, 0.968, 0.971],
            ("date", 1024): [0.977, 0.753, 0.106],
            ("sqrt", 1024): [0.966, DIVERGED, 0.967],
            ("linear", 1024): [0.60, 0.61, FAILED],
        }
    )


def all_lost() -> Case:
    return study(
        {
            ("baseline", 256): [0.10, DIVERGED, 0.11],
            ("tuned", 1024): [0.1, 0.1, DIVERGED],
            ("date", 1024): [DIVERGED, DIVERGED, DIVERGED],
            ("sqrt", 1024): [FAILED, FAILED, FAILED],
        }
    )


def many_arms() -> Case:
    """Fourteen arms at four batch sizes with five seeds; the later ones lose some at large batches."""
    noise = random.Random(7)
    tests: dict[tuple[str, int], list[float | None]] = {("baseline", 256): [0.974, 0.975, 0.976, 0.977, 0.978]}
    for place, arm in enumerate(MANY_ARMS):
        for step, size in enumerate((512, 1024, 2048, 4096)):
            mean = 0.974 - 0.0012 * place * step - 0.002 * step
            scores: list[float | None] = [noise.gauss(mean, 0.002) for _ in range(5)]
            if place % 4 == 3 and step > 1:
                scores[step - 1] = DIVERGED if place % 8 == 3 else 0.2
            tests[arm, size] = scores
    return study(tests)


def perplexity() -> Case:
    return study(
        {
            ("baseline", 256): [110.2, 111.0, 109.8],
            ("tuned", 1024): [112.0, 113.1, 112.4],
            ("date", 1024): [113.0, 900.0, 112.2],
            ("sqrt", 1024): [118.0, 119.5, DIVERGED],
        },
        chance=10_000.0,
        metric="perplexity",
    )


def ties() -> Case:
    return study({(arm, 256 if arm == "baseline" else 1024): [0.9] * 5 for arm in ("baseline", "tuned", "date")})


def near_one() -> Case:
    return study(
        {
            ("baseline", 256): [0.999, 1.0, 0.998],
            ("tuned", 1024): [0.9992, 1.0, 0.985],
            ("date", 1024): [1.0, 1.0, 1.0],
            ("sqrt", 1024): [0.9, 0.999, 0.9985],
        }
    )


CASES: dict[str, Callable[[], Case]] = {
    case.__name__: case for case in (one_seed, lost_seeds, all_lost, many_arms, perplexity, ties, near_one)
}
