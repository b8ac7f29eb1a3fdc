"""How many trials it takes until an importance finds the hyperparameter that decides, and how often it finds none.

    python -m benchmarks.importances [--repeats 100] [--tests 40] [--seed 0] [--peers]

Random searches over five hyperparameters of a simulated training: the learning rate decides, momentum changes a little,
and three have no effect at all. In "diverges" a third of the learning rates, the largest, end at the score of chance.
Scores have the noise of a seed. For PED-ANOVA with shares of the trials that count as best, a quarter being that of
`tuner.search.importance`, and with --peers for Optuna's other evaluators:

    first      share of searches in which the learning rate has the largest importance
    shown      share of searches in which its permutation test is below 5% (a filled marker of the figure)
    false      share of hyperparameters without an effect whose test is below 5%

With --tests 0 the last two are left out.
"""

import argparse
import math
import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from unittest.mock import patch

import optuna

from benchmarks.coverage import table
from zerotune.trainers.spec import OptionValue
from zerotune.tuner.search import importance
from zerotune.tuner.search.optuna_search import distribution
from zerotune.tuner.study.search_space import Choice, Float, Space, sample

SPACE: Space = {
    "warmup_epochs": Float(low=0.0, high=5.0),
    "decay": Choice(choices=("constant", "poly", "cosine")),
    "lr": Float(low=0.01, high=1.0, scale="log"),
    "momentum": Float(low=0.8, high=0.98),
    "weight_decay": Float(low=1e-6, high=1e-2, scale="log"),
}
WITHOUT_EFFECT = ("warmup_epochs", "decay", "weight_decay")
NUM_TRIALS = (10, 24, 50)
NOISE = 0.004
CHANCE = 0.1

Params = Mapping[str, OptionValue]
Rank = Callable[[Sequence[Params], Sequence[float]], str]
"""Configurations and scores -> the most important hyperparameter."""


def smooth(params: Params) -> float:
    """Return a true score: a parabola in the logarithm of the learning rate, a flat one in momentum."""
    lr, momentum = (float(params[name]) for name in ("lr", "momentum"))  # type: ignore[arg-type]
    return 0.97 - 0.02 * math.log10(lr / 0.1) ** 2 - 0.5 * (momentum - 0.9) ** 2


def diverges(params: Params) -> float:
    """Return the same, or chance for the largest third of the learning rates."""
    return CHANCE if float(params["lr"]) > 10 ** (-2 / 3) else smooth(params)  # type: ignore[arg-type]


SURFACES: dict[str, Callable[[Params], float]] = {"smooth": smooth, "diverges": diverges}


def search(surface: Callable[[Params], float], number: int, seed: str) -> tuple[list[Params], list[float]]:
    """Return the configurations of a random search and their scores."""
    generator = random.Random(seed)
    params: list[Params] = [sample(SPACE, generator) for _ in range(number)]
    return params, [surface(one) + generator.gauss(0.0, NOISE) for one in params]


def by_share(share: float) -> Rank:
    """Return a ranking as the report's, with another share of the trials that count as best."""

    def rank(params: Sequence[Params], scores: Sequence[float]) -> str:
        with patch.object(importance, "BEST_SHARE", share):
            return importance.by_importance(SPACE, params, scores, higher_is_better=True)[0]

    return rank


def by_evaluator(evaluator: optuna.importance.BaseImportanceEvaluator) -> Rank:
    """Return a ranking by another evaluator of Optuna."""
    distributions = {name: distribution(param) for name, param in SPACE.items()}

    def rank(params: Sequence[Params], scores: Sequence[float]) -> str:
        study = optuna.create_study(direction="maximize")
        trials = zip(params, scores, strict=True)
        study.add_trials(
            optuna.trial.create_trial(params=dict(one), distributions=distributions, value=score)
            for one, score in trials
        )
        return next(iter(optuna.importance.get_param_importances(study, evaluator=evaluator)))

    return rank


RANKS: dict[str, Callable[[], Rank]] = {
    "best tenth": lambda: by_share(0.1),
    "best quarter": lambda: by_share(0.25),
    "best 40%": lambda: by_share(0.4),
}
PEERS: dict[str, Callable[[], Rank]] = {
    "fANOVA": lambda: by_evaluator(optuna.importance.FanovaImportanceEvaluator(seed=0)),
    "mean decrease impurity": lambda: by_evaluator(optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=0)),
}


def shares(name: str, number: int, tests: int, seed: int) -> tuple[float, float]:
    """Return how often the learning rate's test is below 5%, and those of what has no effect."""
    found = [
        importance.importances(
            SPACE, *search(SURFACES[name], number, f"{seed}/{name}/{number}/{repeat}"), higher_is_better=True
        )
        for repeat in range(tests)
    ]
    shown = fmean(one["lr"].chance <= 0.05 for one in found)
    return shown, fmean(one[without].chance <= 0.05 for one in found for without in WITHOUT_EFFECT)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--tests", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    ranks = RANKS | (PEERS if arguments.peers else {})
    for name, surface in SURFACES.items():
        rows = []
        for number in NUM_TRIALS:
            drawn = [
                search(surface, number, f"{arguments.seed}/{name}/{number}/{repeat}")
                for repeat in range(arguments.repeats)
            ]
            first = [fmean(rank(*one) == "lr" for one in drawn) for rank in (make() for make in ranks.values())]
            tested = shares(name, number, arguments.tests, arguments.seed) if arguments.tests else ()
            rows.append([str(number), *(f"{share:.0%}" for share in (*first, *tested))])
        columns = ["trials", *(f"first: {each}" for each in ranks), *(("shown", "false") if arguments.tests else ())]
        table(f"{name}: {arguments.repeats} searches, {arguments.tests} tested", columns, rows)


if __name__ == "__main__":
    main()
