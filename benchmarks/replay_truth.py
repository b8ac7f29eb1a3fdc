"""Are the verdicts, K*, the best of k and the saving true on real score distributions?

Whole studies by `zerotune replicate` over tables whose truth is known: cells of HPOBench with 40 seeds each, drawn
from the residuals of the cell and of the two with the next weight decays (15 residuals, widened by sqrt(5/4) for the
mean that they lack). The recorded five seeds would be the truth and the study's own at the same time.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

import numpy as np
from scipy import stats

from benchmarks.coverage import table
from benchmarks.replay_surface import B0, DATA_SETS, TARGETS, rng_of, surface
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.applications.tabulated import tabulated_application
from zerotune.trainers.options import Options
from zerotune.trainers.tabulated.table import Axis, Table
from zerotune.tuner.analysis.evidence import best_of_k, trials_to_reach
from zerotune.tuner.analysis.luck import true_best_of_k
from zerotune.tuner.analysis.runs import Runs
from zerotune.tuner.analysis.search_statistics import median_best_of_k
from zerotune.tuner.analysis.verdict import LEVEL, Kind
from zerotune.tuner.commands.replicate.replicates import Replicates
from zerotune.tuner.commands.replicate.summary import Summary, summarise
from zerotune.tuner.study import study_from_text
from zerotune.tuner.trial import TrialResult

NUM_SEEDS = 40
STUDY_SEEDS = (3, 5, 10)
TRIALS = 20
LIKELY_STATED = 0.2
"""Stated for "yes, but" and "batch too large", see `benchmarks.verdicts`."""
LEVELS: Mapping[Kind, float] = {
    **{"yes": LEVEL, "worse": LEVEL},
    **{"yes, but": LIKELY_STATED, "batch too large": LIKELY_STATED},
}
DEPTH, WIDTH = 1, 3
"""Positions of the networks that are studied: two hidden layers of 64."""

STUDY = """
name: replayed_{name}
application: resampled_{name}
data: {{between: nearest, along: "lr, weight_decay"}}
batch_sizes: {targets}
seeds: {seeds}
margin: 0.995
reference: tuned
baseline: {{batch_size: {b0}, optimizer: adam, tune: {{method: random, trials: {trials}, space: {space}}}}}
arms:
  - {{name: tuned, method: random, trials: {trials}, space: {space}}}
  - {{name: sqrt, method: sqrt}}
  - {{name: linear, method: linear}}
  - {{name: constant, method: constant}}
"""
SPACE = "{lr: {low: 1.0e-5, high: 1.0, scale: log}, weight_decay: {low: 1.0e-8, high: 1.0, scale: log}}"


@lru_cache(maxsize=8)
def resampled(name: str) -> Table:
    """Return a table of learning rate, weight decay and batch size with `NUM_SEEDS` drawn seeds."""
    data = surface(name)
    scores = data.scores[:, :, DEPTH, :, WIDTH, :]  # (weight_decay, batch size, lr, seed)
    means = scores.mean(axis=-1, keepdims=True)
    residuals = (scores - means) * np.sqrt(data.num_seeds / (data.num_seeds - 1))
    padded = np.pad(residuals, [(1, 1), (0, 0), (0, 0), (0, 0)], mode="edge")
    pool = np.concatenate([padded[shift : shift + len(scores)] for shift in range(3)], axis=-1)
    drawn = rng_of("resampled", name).integers(pool.shape[-1], size=(*means.shape[:-1], NUM_SEEDS))
    values = np.clip(means + np.take_along_axis(pool, drawn, axis=-1), 0.0, 1.0)
    axes = {axis.name: axis.values for axis in data.table.axes}
    names, shape = ("weight_decay", "batch_size", "lr"), means.shape[:-1]
    rows = {place: data.table.cells[place[0], place[1], DEPTH, place[2], WIDTH] for place in np.ndindex(*shape)}
    assert data.table.seconds is not None
    return Table(
        name=f"resampled_{name}",
        axes=tuple(Axis(name=axis, values=axes[axis]) for axis in names),
        cells={place: row for row, place in enumerate(rows)},
        seeds=tuple(range(1, NUM_SEEDS + 1)),
        scores=values.reshape(-1, NUM_SEEDS),
        chance_score=data.table.chance_score,
        fixed=data.table.fixed,
        seconds=np.repeat(data.table.seconds[[*rows.values()]].mean(axis=1, keepdims=True), NUM_SEEDS, axis=1),
    )


def replicates(name: str, num_seeds: int, seed: int) -> Replicates:
    """Return the replicates of the study of one data set with so many confirmations."""
    chance = surface(name).table.chance_score
    APPLICATIONS[f"resampled_{name}"] = tabulated_application(
        name=f"resampled_{name}",
        load=partial(resampled, name),
        metric="balanced accuracy",
        higher_is_better=True,
        chance_score=chance,
        epochs=243,
        model_options=Options(),
    )
    seeds = [*range(1, num_seeds + 1)]
    text = STUDY.format(name=name, seeds=seeds, targets=[*TARGETS], b0=B0, trials=TRIALS, space=SPACE)
    return Replicates(study_from_text(text, f"{name}.yaml"), seed=seed)


def false_sentences(repeats: int, seed: int) -> dict[Kind, float]:
    """Print how often each kind of verdict is false; return the smallest p-value that its share is below its level."""
    rows, p_values = [], dict.fromkeys(LEVELS, 1.0)
    for num_seeds in STUDY_SEEDS:
        found = [summarise(replicates(name, num_seeds, seed).run_all(repeats)) for name in DATA_SETS]
        studies = sum(one.num_replicates for one in found)
        row = [str(num_seeds), f"{studies:,}", f"{sum(one.num_trials for one in found):,}"]
        for kind, level in LEVELS.items():
            said, false = _counts(found, kind)
            number = studies if kind in ("yes", "worse") else studies * len(TARGETS) * 3
            wrong = sum(one.studies_with_false.get(kind, 0) for one in found) if kind in ("yes", "worse") else false
            p_values[kind] = min(p_values[kind], float(stats.binom.sf(wrong - 1, number, level)))
            row.append(f"{said:,}, {false} false ({100 * wrong / number:.2f}%)")
        rows.append(row)
    stated = ", ".join(f'"{kind}" {100 * level:g}%' for kind, level in LEVELS.items())
    table(
        'Verdicts said and false. In brackets the share of studies with a false "yes" or "worse", and of all judged '
        f"arms for the others; stated: {stated}",
        ["seeds", "studies", "trainings", *LEVELS],
        rows,
    )
    return p_values


def _counts(found: Sequence[Summary], kind: Kind) -> tuple[int, int]:
    said = sum(one.said(kind) for one in found)
    return said, said - sum(one.true(kind) for one in found)


def amounts(repeats: int, seed: int) -> dict[str, float]:
    """Print how far K*, the best of k and the saving lie from the truth; return the coverage of their intervals."""
    best: dict[str, list[float]] = {"observed": [], "corrected": []}
    matched: Counter[str] = Counter()
    covered: dict[str, list[bool]] = {"success rate": [], "median best of 3": []}
    savings: list[float] = []
    for name in DATA_SETS:
        studies = replicates(name, 5, seed)
        truths = {batch_size: _Search(resampled(name), batch_size) for batch_size in TARGETS}
        for number in range(repeats):
            results, comparison = studies.look_up_study(number)
            runs = Runs(results)
            for batch_size, truth in truths.items():
                trials = runs.of("tuned", batch_size, "search")
                scores = [trial.validation_score or 0.0 for trial in trials]
                noise = comparison.seed_noise.get(batch_size, 0.0)
                curves = {
                    "observed": best_of_k(scores, higher_is_better=True),
                    "corrected": true_best_of_k(scores, noise, higher_is_better=True),
                }
                for kind, curve in curves.items():
                    best[kind].append(curve[-1] - truth.best_of_k[-1])
                middle = median_best_of_k(scores, 3, higher_is_better=True)
                if middle.worse is not None and middle.better is not None:
                    covered["median best of 3"].append(middle.worse <= truth.median_best_of_3 <= middle.better)
                for arm in ("sqrt", "linear", "constant"):
                    row = comparison.row(arm, batch_size)
                    if row.effort is None or row.validation_score is None:
                        continue
                    share = truth.share_above(row.validation_score)
                    covered["success rate"].append(row.effort.success.low <= share <= row.effort.success.high)
                    config = runs.confirmations(arm, batch_size)[0]
                    matched[_compare(row.effort.trials, truth.trials_to_reach(truth.mean_of(config)))] += 1
                    if "device_seconds" in row.savings:
                        true = 1 - truth.seconds_of(config) / (TRIALS * truth.mean_seconds)
                        savings.append(row.savings["device_seconds"].share - true)
    total = sum(matched.values())
    low, high = np.quantile(savings, [0.05, 0.95])
    rows = [
        [f"best of {TRIALS}, {kind}, too high by", f"{100 * np.mean(errors):+.2f} points", f"{len(errors):,}"]
        for kind, errors in best.items()
    ]
    rows += [[f"K* {kind}", f"{100 * number / total:.0f}%", f"{total:,}"] for kind, number in sorted(matched.items())]
    rows += [
        [f"95% interval of the {kind} holds", f"{100 * np.mean(ok):.1f}%", f"{len(ok):,}"]
        for kind, ok in covered.items()
    ]
    rows.append(
        ["saving less the true one, 5% to 95%", f"{100 * low:+.1f} to {100 * high:+.1f} points", f"{len(savings):,}"]
    )
    table("K*, the best of k and the saving against the truth, studies of 5 seeds", ["what", "found", "cases"], rows)
    return {kind: float(np.mean(ok)) for kind, ok in covered.items()}


def _compare(found: int | None, true: int | None) -> str:
    """Return where K* lies from the true one; one that is not reached in `TRIALS` lies above."""
    found, true = found or TRIALS + 1, true or TRIALS + 1
    if true / 2 <= found <= 2 * true:
        return "within a factor of 2"
    return "too low by more" if found < true else "too high by more"


class _Search:
    """A random search over a resampled table at a batch size, in the limit of many trials."""

    def __init__(self, data: Table, batch_size: int) -> None:
        self._data, self._batch = data, data.axes[1].values.index(batch_size)
        shape = (len(data.axes[0].values), len(data.axes[2].values))
        rows = [data.cells[i, self._batch, j] for i in range(shape[0]) for j in range(shape[1])]
        rng = rng_of("search", data.name, batch_size)
        # A draw on the log scale goes to the nearest value; those at both ends get half as many.
        weights = np.array([0.5, *[1.0] * 8, 0.5]) / 9
        drawn = rng.choice(rows, size=(4_000, TRIALS), p=np.outer(weights, weights).ravel())
        scores = data.scores[drawn, rng.integers(NUM_SEEDS, size=drawn.shape)]
        order = np.array([np.argmax(scores[:, : k + 1], axis=1) for k in range(TRIALS)]).T
        means = data.scores.mean(axis=1)
        self.best_of_k = means[np.take_along_axis(drawn, order, axis=1)].mean(axis=0)
        self.median_best_of_3 = float(np.median(scores[:, :3].max(axis=1)))
        self._scores = np.sort(scores.ravel())
        assert data.seconds is not None
        self.mean_seconds = float(data.seconds[drawn, 0].mean())

    def share_above(self, level: float) -> float:
        """Return the share of trials that score at least as well."""
        return 1 - float(np.searchsorted(self._scores, level, side="left")) / len(self._scores)

    def trials_to_reach(self, level: float) -> int | None:
        """Return the true K* of a true score; None beyond `TRIALS`."""
        return trials_to_reach([*self.best_of_k], level, higher_is_better=True)

    def mean_of(self, run: TrialResult) -> float:
        """Return the true score of a run's configuration."""
        return float(self._data.scores[self._row(run)].mean())

    def seconds_of(self, run: TrialResult) -> float:
        """Return the seconds of a training of a run's configuration."""
        assert self._data.seconds is not None
        return float(self._data.seconds[self._row(run), 0])

    def _row(self, run: TrialResult) -> int:
        config = run.trial.config
        asked = {"weight_decay": config.optimizer.options["weight_decay"], "lr": config.schedule.peak_lr}
        decay, lr = (
            axis.positions(asked[axis.name], "nearest", self._data.name)[0][0]
            for axis in self._data.axes
            if axis.name in asked
        )
        return self._data.cells[decay, self._batch, lr]
