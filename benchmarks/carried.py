"""How many seeds of a rule are lost, by how its baseline was chosen and with a guard? LeNet-5, from B0 = 32.

    python -m benchmarks.carried FILE [--validation-samples 1000]

FILE holds the trainings of `benchmarks.carried_surface`. Every seed is the search's once: it chooses the baseline and
trains the probes, and all other seeds confirm. A probe is the beginning of the same training, as in a study.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.carried_surface import B0, SOLVERS, TARGETS, WARMUP_EPOCHS
from benchmarks.coverage import table
from zerotune.tuner.analysis.lost_seeds import Guessing
from zerotune.tuner.analysis.ties import ERRORS, binomial_error
from zerotune.tuner.search.guard import Guard, probe_epochs
from zerotune.tuner.search.method import Outcome, Proposal

GUESSING = Guessing(score=0.1, metric="accuracy", higher_is_better=True)
Place = tuple[int, float, int]
"""Batch size, lr0 and seed of a training."""
Curves = Mapping[Place, Mapping[str, Any]]


def validation(curves: Curves, place: Place) -> list[float]:
    """Return the validation score after every epoch."""
    scores: list[float] = curves[place]["validation"]
    return scores


def choose(curves: Curves, lrs: Iterable[float], seed: int, samples: int, *, smallest: bool) -> float:
    """Return the baseline's learning rate by one seed: the best, or the smallest that ties with it."""
    scores = {lr: validation(curves, (B0, lr, seed))[-1] for lr in lrs}
    best = max(scores.values())
    tolerance = ERRORS * binomial_error(best, samples) if smallest else 0.0
    return min(lr for lr, score in scores.items() if score >= best - tolerance)


def guarded(curves: Curves, lr0: float, batch_size: int, seed: int, probes: int) -> float:
    """Return the lr0 whose rule a guarded arm trains with; a probe that was not trained ends the guard."""
    epochs = len(next(iter(curves.values()))["validation"])
    last = probe_epochs(WARMUP_EPOCHS * batch_size / B0, epochs)

    def is_lost(outcome: Outcome) -> bool:
        half_way = GUESSING.half_way(max(outcome.epoch_scores))
        score = outcome.epoch_scores[-1]
        return not GUESSING.is_better(score) or (half_way is not None and score < half_way)

    guard = Guard(probes, epochs=epochs, last_epoch=lambda: last, is_lost=is_lost)
    while isinstance(proposal := guard.ask(), Proposal):
        place = (batch_size, lr0 * float(proposal.params["lr_factor"]), seed)  # type: ignore[arg-type]
        scores = tuple(validation(curves, place)[:last]) if place in curves else ()
        guard.tell(
            proposal.index, Outcome(score=scores[-1] if scores else None, pruned=bool(scores), epoch_scores=scores)
        )
    return lr0 * guard.factor


def confirmed(curves: Curves, batch_size: int, lr0: float, seeds: Sequence[int]) -> list[float]:
    """Return the test scores of the confirmations that were trained."""
    places = ((batch_size, lr0, seed) for seed in seeds)
    return [float(curves[place]["test"] or 0.1) for place in places if place in curves]


def row(curves: Curves, solver: str, batch_size: int, samples: int, *, smallest: bool, probes: int) -> list[str]:
    """Return how many confirmations of all search seeds are lost, and the median of the others."""
    lrs, tests, lost, chosen = SOLVERS[solver].lrs, [], 0, []
    seeds = sorted({seed for size, _, seed in curves if size == B0})
    for seed in (one for one in seeds if all((B0, lr, one) in curves for lr in lrs)):
        lr0 = choose(curves, lrs, seed, samples, smallest=smallest)
        level = fmean(confirmed(curves, B0, lr0, seeds) or [0.97])
        lr0 = guarded(curves, lr0, batch_size, seed, probes) if probes else lr0
        chosen.append(lr0)
        half_way = GUESSING.half_way(level) or 0.0
        for score in confirmed(curves, batch_size, lr0, [each for each in seeds if each != seed]):
            lost += score < half_way
            tests += [score] if score >= half_way else []
    counted = len(tests) + lost
    return [
        solver,
        f"{batch_size:,}",
        "smallest of ties" if smallest else "best",
        str(probes or "none"),
        " ".join(f"{lr:g}" for lr in chosen),
        f"{lost} of {counted}",
        f"{100 * median(tests):.1f}" if tests else "-",
        f"{100 * min(tests):.1f}" if tests else "-",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--validation-samples", type=int, default=1000)
    arguments = parser.parse_args()
    found: dict[str, dict[Place, Mapping[str, Any]]] = {}
    for line in arguments.file.read_text().splitlines():
        record = json.loads(line)
        key = record["key"]
        found.setdefault(key["solver"], {})[key["batch_size"], key["lr0"], key["seed"]] = record
    rows = [
        row(curves, solver, size, arguments.validation_samples, smallest=smallest, probes=probes)
        for solver, curves in found.items()
        for size in TARGETS
        for smallest in (False, True)
        for probes in (0, 2, 3)
    ]
    table(
        "Confirmations of every search seed: lost ones, and the median and the lowest of the others (test accuracy)",
        ["solver", "B", "choice at B0", "probes", "lr0 of the rule trained", "lost", "median", "lowest"],
        rows,
    )


if __name__ == "__main__":
    main()
