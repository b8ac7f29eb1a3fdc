"""How far do rules carry a baseline that was tuned with 4 to 25 trainings? Over the tables of HPOBench.

Depth and width are drawn anew for every repeat. A baseline is tuned at B0 over learning rate and weight decay, on one
seed; what a rule makes of it is held against the best of 25 trainings at the target batch size on the same seed. Both
are judged on the four seeds that no search sees.

The half-life rule for Adam changes beta2 with the batch size: the tables have beta2 = 0.999 alone, so it cannot be
asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from benchmarks.coverage import table
from benchmarks.replay_surface import (
    B0,
    DATA_SETS,
    SPACE,
    TARGETS,
    Params,
    Surface,
    numbers_of,
    rng_of,
    seed_order,
    surface,
)
from zerotune.tuner.search.enumerated import random_search
from zerotune.tuner.search.method import Proposal

RULES = {"constant": 0.0, "sqrt": 0.5, "linear": 1.0}
"""Exponents of the learning rate in k."""
BUDGETS = (4, 8, 25)
TUNED_TRIALS = 25
KEPT = 0.995


def search(
    data: Surface, batch_size: int, size: Params, trials: int, seed: int, *place: object
) -> list[tuple[float, Params]]:
    """Return scores and points of a random search over learning rate and weight decay."""
    space = {name: SPACE[name] for name in ("lr", "weight_decay")}
    method = random_search(space, trials=trials, seed=int(rng_of("rules", data.name, *place).integers(2**31)))
    found: list[tuple[float, Params]] = []
    while isinstance(proposal := method.ask(), Proposal):
        params = {**proposal.params, **size}
        found.append((data.score(params, batch_size, [seed]), params))
    return found


def noise(data: Surface) -> float:
    """Return the standard deviation between seeds of the better tenth of the cells at B0, the median."""
    cells = data.batch(B0).reshape(-1, data.num_seeds)
    means = cells.mean(axis=1)
    return float(np.median(cells[means >= np.quantile(means, 0.9)].std(axis=1, ddof=1)))


def choose(found: Sequence[tuple[float, Params]], tolerance: float) -> Params:
    """Return the point with the smallest learning rate whose score is within a tolerance of the best."""
    best = max(score for score, _ in found)
    return min((params for score, params in found if score >= best - tolerance), key=lambda params: params["lr"])


@dataclass(frozen=True, kw_only=True)
class Case:
    """A baseline, what tuning reaches at the target batch size, the seed of both searches, and those that judge."""

    data: Surface
    baseline: Params
    batch_size: int
    level: float
    seed: int
    fresh: Sequence[int]

    def judge(self, lr: float) -> tuple[float, bool]:
        """Return what the baseline with this learning rate gains on tuning, and whether it keeps `KEPT` of it."""
        reached = self.data.score({**self.baseline, "lr": lr}, self.batch_size, self.fresh)
        return reached - self.level, reached >= KEPT * self.level


@lru_cache(maxsize=2000)
def case(data: Surface, budget: int, batch_size: int, number: int, *, cautious: bool) -> Case:
    """Return the case of a number: a baseline tuned with a budget of trainings, and the tuned arm."""
    order, rng = seed_order(data.num_seeds, "rules", data.name, number), rng_of("size", data.name, number)
    size: Params = {"depth": int(rng.integers(1, 4)), "width": float(rng.choice([16, 64, 256, 1024]))}
    seed, fresh = order[0], order[1:]
    tuned = choose(search(data, batch_size, size, TUNED_TRIALS, seed, "tuned", batch_size, number), 0.0)
    baseline = choose(search(data, B0, size, budget, seed, "baseline", number), noise(data) if cautious else 0.0)
    level = data.score(tuned, batch_size, fresh)
    return Case(data=data, baseline=baseline, batch_size=batch_size, level=level, seed=seed, fresh=fresh)


def gains(
    data: Surface, rule: str, budget: int, batch_size: int, number: int, *, cautious: bool
) -> tuple[float, bool] | None:
    """Return what a rule gains on tuning and whether it keeps `KEPT` of it; None beyond the table's learning rates."""
    found = case(data, budget, batch_size, number, cautious=cautious)
    lr = found.baseline["lr"] * (batch_size / B0) ** RULES[rule]
    return found.judge(lr) if data.has(lr) else None


def rule_table(repeats: int, seed: int) -> dict[tuple[str, int, bool, int], float]:
    """Print the shares that keep `KEPT` of tuned; return them by rule, budget, caution and batch size."""
    rows, shares = [], {}
    for cautious in (False, True):
        for budget in BUDGETS:
            for rule in RULES:
                row = [rule, str(budget), "smallest lr within the noise" if cautious else "best"]
                for batch_size in TARGETS:
                    known = [
                        gains(surface(data), rule, budget, batch_size, number, cautious=cautious)
                        for data in DATA_SETS
                        for number in numbers_of(seed, repeats)
                    ]
                    inside = [one for one in known if one is not None]
                    share = float(np.mean([kept for _, kept in inside]))
                    shares[rule, budget, cautious, batch_size] = share
                    beyond = f", {len(known) - len(inside)} beyond" if len(inside) < len(known) else ""
                    row.append(f"{100 * share:.0f}% ({100 * np.median([gain for gain, _ in inside]):+.2f}{beyond})")
                rows.append(row)
    table(
        f"Rules from B0 {B0}: share that keeps {100 * KEPT:g}% of the best of {TUNED_TRIALS} trainings at B (median "
        f"points against it; of {repeats * len(DATA_SETS)} cases, those beyond the table's learning rates left out)",
        ["rule", "trainings at B0", "choice", *(f"B = {size}" for size in TARGETS)],
        rows,
    )
    return shares


def exponents() -> dict[str, float]:
    """Print and return the exponent of the best learning rate in the batch size, by data set."""
    found = {name: _exponent(surface(name)) for name in DATA_SETS}
    low, high = min(found.values()), max(found.values())
    rows = [[name, f"{value:.2f}"] for name, value in found.items()]
    rows.append(["mean", f"{np.mean([*found.values()]):.2f} ({low:.2f} to {high:.2f})"])
    title = "Exponent of the best learning rate in B (a parabola through the best three in log lr, best weight decay)"
    table(title, ["data set", "exponent"], rows)
    return found


def _exponent(data: Surface) -> float:
    axes = {axis.name: axis.numbers for axis in data.table.axes}
    log_lrs, sizes = np.log(axes["lr"]), axes["batch_size"]
    best = []
    for batch_size in sizes:
        means = data.batch(int(batch_size)).mean(axis=-1).max(axis=0)  # (depth, lr, width)
        curves = np.moveaxis(means, 1, -1).reshape(-1, len(log_lrs))
        best.append(np.mean([_vertex(log_lrs, curve) for curve in curves]))
    return float(np.polyfit(np.log(sizes), best, 1)[0])


def _vertex(places: np.ndarray, curve: np.ndarray) -> float:
    """Return where the parabola through the best point and its neighbours is highest."""
    top = min(max(int(np.argmax(curve)), 1), len(curve) - 2)
    before, here, after = curve[top - 1 : top + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(places[top] + min(max(shift, -1.0), 1.0) * (places[1] - places[0]))
