"""What does a guard of two or three probes make of a rule, over the tables of HPOBench?

Cases, baselines and the tuned arm are those of `benchmarks.replay_rules`. The tables have no learning curves, so a
probe is a whole training, on the seed of the searches; the four others judge. What cutting a probe short costs is not
asked here.
"""

import numpy as np

from benchmarks.coverage import table
from benchmarks.replay_rules import KEPT, RULES, TUNED_TRIALS, case
from benchmarks.replay_surface import B0, DATA_SETS, TARGETS, Params, Surface, numbers_of, surface
from zerotune.tuner.search.guard import Guard
from zerotune.tuner.search.method import Outcome, Proposal

GUARDS = (0, 2, 3)
HARDLY = 0.05
"""Share of the way from guessing to 1 within which a probe is lost."""


def guarded_lr(data: Surface, baseline: Params, lr: float, batch_size: int, seed: int, probes: int) -> float:
    """Return the learning rate that a guard makes of the rule's; a probe beyond the table's ends the guard."""
    limit = data.table.chance_score + HARDLY * (1 - data.table.chance_score)
    guard = Guard(probes, epochs=1, last_epoch=lambda: 1, is_lost=lambda outcome: (outcome.score or 0.0) <= limit)
    while isinstance(proposal := guard.ask(), Proposal):
        probed = lr * float(proposal.params["lr_factor"])  # type: ignore[arg-type]
        score = data.score({**baseline, "lr": probed}, batch_size, [seed]) if data.has(probed) else None
        guard.tell(proposal.index, Outcome(score=score, pruned=False, epoch_scores=()))
    return lr * guard.factor


def guard_table(repeats: int, seed: int) -> dict[tuple[str, int, bool, int], float]:
    """Print the shares that keep `KEPT` of tuned; return them by rule, probes, caution and batch size."""
    rows, shares = [], {}
    for cautious in (False, True):
        for rule in RULES:
            for probes in GUARDS:
                row = [rule, "smallest lr within the noise" if cautious else "best", str(probes) if probes else "none"]
                for batch_size in TARGETS:
                    found = []
                    for name in DATA_SETS:
                        for number in numbers_of(seed, repeats):
                            one = case(surface(name), TUNED_TRIALS, batch_size, number, cautious=cautious)
                            lr = one.baseline["lr"] * (batch_size / B0) ** RULES[rule]
                            if not one.data.has(lr):
                                continue
                            if probes:
                                lr = guarded_lr(one.data, one.baseline, lr, batch_size, one.seed, probes)
                            if one.data.has(lr):
                                found.append(one.judge(lr))
                    share = float(np.mean([kept for _, kept in found]))
                    shares[rule, probes, cautious, batch_size] = share
                    gains = [gain for gain, _ in found]
                    tenth = 100 * float(np.quantile(gains, 0.1))
                    row.append(f"{100 * share:.0f}% ({100 * float(np.median(gains)):+.2f}, {tenth:+.1f})")
                rows.append(row)
    table(
        f"Guards from a baseline of {TUNED_TRIALS} trainings: share that keeps {100 * KEPT:g}% of the best of "
        f"{TUNED_TRIALS} trainings at B (median points against it, and those that a tenth falls below)",
        ["rule", "choice at B0", "probes", *(f"B = {size}" for size in TARGETS)],
        rows,
    )
    return shares
