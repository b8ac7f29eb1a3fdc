"""A synthetic study whose searches show all that figures of searches can show.

"tuned" searches three hyperparameters, and some of its trials diverged, were pruned or failed. "solvers" searches the
solver too: each has ranges of its own, one has a momentum, and a rule's proposal and a race are among its trials.
"thrifty" searches for score and FLOPs over the width of the model, on which both depend.
"""

import math
import random
from dataclasses import replace
from typing import Any

from tests.synthetic_study import CHANCE, confirmations, facts, result
from zerotune.trainers.spec import OptionValue
from zerotune.tuner.analysis.economy import Economy
from zerotune.tuner.analysis.study_facts import StudyFacts
from zerotune.tuner.study.search_space import Choice, Float, Int, Space, sample
from zerotune.tuner.trial import TrialResult

SPACE: Space = {
    "lr": Float(low=0.01, high=1.0, scale="log"),
    "momentum": Float(low=0.8, high=0.98),
    "decay": Choice(choices=("constant", "poly")),
}
SOLVERS: dict[str, Space] = {
    "momentum": {"lr": Float(low=0.01, high=1.0, scale="log"), "momentum": Float(low=0.8, high=0.98)},
    "adam": {"lr": Float(low=1e-4, high=1e-2, scale="log")},
}
UNION: Space = {"optimizer": Choice(choices=("momentum", "adam")), "lr": Float(low=1e-4, high=1.0, scale="log")}
"""What the solvers have in common, as `StudyFacts` knows it."""
WIDTHS: Space = {"lr": Float(low=0.01, high=1.0, scale="log"), "width": Int(low=8, high=128, scale="log")}
ITS_FIGURES = ("search_front", "contours")
"""Figures that other synthetic studies do not have."""
SIZES = (1024, 4096)
NUM_TRIALS = 30


def searched_facts(**changes: Any) -> StudyFacts:
    """Return the facts of the study; "solvers" is its reference."""
    given: dict[str, Any] = {
        "name": "searched",
        "arms": ("solvers", "tuned", "thrifty", "date"),
        "reference": "solvers",
        "zero_tuning_arms": ("date",),
        "batch_sizes": SIZES,
        "spaces": {"tuned": SPACE, "solvers": UNION, "thrifty": WIDTHS},
        "learned_arms": ("solvers", "thrifty"),
        "economies": {"thrifty": Economy(currency="flops", margin=0.995)},
    }
    return facts(**(given | changes))


def searched_results(num_trials: int = NUM_TRIALS) -> list[TrialResult]:
    """Return the searches with this many trials each, and a confirmation run of each arm; the same on every call."""
    generator = random.Random(5)
    found = confirmations("baseline", 256, [0.99])
    for size in SIZES:
        for arm in ("tuned", "date"):
            found += confirmations(arm, size, [0.985])
        found += _tuned(generator, size, num_trials) + _solvers(generator, size, num_trials)
        found += _thrifty(generator, size, num_trials)
    return found


def trial(arm: str, size: int, index: int, params: dict[str, OptionValue], score: float | None) -> TrialResult:
    """Return a search trial with these hyperparameters; without a score it diverged."""
    status, end = ("diverged", CHANCE) if score is None else ("finished", score)
    found = result(arm, size, "search", index, validation=end, status=status, seed=0)  # type: ignore[arg-type]
    return replace(found, trial=replace(found.trial, params=params))


def quality(params: dict[str, OptionValue], size: int) -> float | None:
    """Return a score that the learning rate decides and momentum changes a little; None beyond the stable ones."""
    scale = math.sqrt(size / 1024) * (0.01 if params.get("optimizer") == "adam" else 1.0)
    distance = math.log10(float(params["lr"]) / (0.1 * scale))  # type: ignore[arg-type]
    if distance > 0.7:
        return None
    momentum = float(params.get("momentum", 0.9))  # type: ignore[arg-type]
    return 0.985 - 0.04 * distance**2 - 0.8 * (momentum - 0.9) ** 2


def _tuned(generator: random.Random, size: int, num_trials: int) -> list[TrialResult]:
    found = []
    for index in range(num_trials):
        params = sample(SPACE, generator)
        one = trial("tuned", size, index, params, quality(params, size))
        if one.status == "finished" and index % 7 == 3:
            one = replace(one, status="pruned", validation_score=0.5)
        elif index % 11 == 5:
            one = replace(one, status="failed", validation_score=None)
        found.append(one)
    return found


def _solvers(generator: random.Random, size: int, num_trials: int) -> list[TrialResult]:
    rule: dict[str, OptionValue] = {"rule": "date", "optimizer": "momentum", "lr": 0.1}
    tried = [rule]
    for index in range(num_trials - 7):
        solver = "adam" if index % 2 else "momentum"
        tried.append({"optimizer": solver, **sample(SOLVERS[solver], generator)})
    best = sorted(tried[1:], key=lambda params: quality(params, size) or 0.0)[-3:]
    trials = [trial("solvers", size, index, params, quality(params, size)) for index, params in enumerate(tried)]
    for seed in (1, 2):
        for params in best:
            one = trial("solvers", size, len(trials), params, (quality(params, size) or 0.0) + 0.001 * seed)
            trials.append(replace(one, trial=replace(one.trial, config=replace(one.trial.config, seed=seed))))
    return trials


def _thrifty(generator: random.Random, size: int, num_trials: int) -> list[TrialResult]:
    found = []
    for index in range(num_trials):
        params = sample(WIDTHS, generator)
        score, width = quality(params, size), float(params["width"])  # type: ignore[arg-type]
        one = trial("thrifty", size, index, params, None if score is None else score - 0.2 / width)
        if index % 7 == 3:
            one = replace(one, status="pruned")
        elif index % 11 == 5:
            one = replace(one, status="failed", validation_score=None)
        ended_early = 1.0 if one.status == "finished" else 0.2
        found.append(replace(one, cost=replace(one.cost, flops=round(1e10 * width * ended_early))))
    return found
