"""What makes a baseline and its rules carry, in sentences: ties of learning rates, and the probes of guarded rules.

This module escapes nothing; the caller that draws a text escapes it.
"""

from collections.abc import Iterable

from ...analysis.comparison import Comparison
from ...analysis.guards import GuardedRule, Probe
from ...analysis.ties import ERRORS, Tie
from ...search.guard import AFTER_WARMUP, START
from ...study import Study
from ...study.baseline_keys import EXTENSIONS, TieKeys
from .format import format_lr, join_names, pluralize
from .scores import format_points, format_score

_MANY = 4
"""More learning rates than this are told by their ends."""


def carrying_notes(comparison: Comparison) -> tuple[str, ...]:
    """Return a sentence on every baseline whose ties go to the smallest learning rate, and on every guarded arm."""
    metric, found = comparison.facts.metric, {tie.chosen.trial.arm for tie in comparison.ties}
    ties = [describe_tie(tie, metric) for tie in comparison.ties]
    ties += [
        f"{line.arm[0].upper()}{line.arm[1:]} at B0={line.batch_size:,}: nothing told the noise of its scores, so that "
        "no tie was looked for and the best was taken."
        for line in comparison.ledger.lines
        if line.role == "baseline" and line.arm in comparison.facts.smallest_ties and line.arm not in found
    ]
    return (*ties, *(describe_guard(guard, metric) for guard in comparison.guards))


def describe_tie(tie: Tie, metric: str) -> str:
    """Say which learning rate was chosen of those that tie, and what told the noise."""
    trial, lr = tie.chosen.trial, format_lr(tie.lrs[0])
    where = f"{trial.arm[0].upper()}{trial.arm[1:]} at B0={trial.batch_size:,}"
    if tie.noise == "seeds":
        error = f"of a difference over {pluralize(tie.samples, 'seed')}"
    else:
        error = f"of a validation set of {tie.samples:,}"
    within = (
        f"within {format_points(tie.tolerance, metric, signed=False)}, {ERRORS:g} standard errors {error}, of the best "
        f"validation {metric}, {format_score(tie.score, metric)}"
    )
    if len(tie.lrs) == 1:
        return f"{where}: lr {lr}; no smaller one is {within}."
    several = join_names([format_lr(lr) for lr in tie.lrs])
    if len(tie.lrs) > _MANY:
        several = f"{len(tie.lrs)} learning rates from {lr} to {format_lr(tie.lrs[-1])}"
    return f"{where}: lr {lr}, the smallest of {several} that it cannot tell apart ({within})."


def describe_guard(guard: GuardedRule, metric: str) -> str:
    """Say what a guarded arm's probes scored and what it trains with."""
    where = f"{guard.arm} at B={guard.batch_size:,}"
    takes = "" if guard.factor is None else f" It trains with {guard.factor:g} times the rule's learning rate."
    if not guard.probes:
        return f"{where} is guarded, not zero-tuning, but made no probe.{takes}"
    epochs = sum(probe.epochs for probe in guard.probes)
    probes = "; ".join(f"{probe.factor:g} times, {_outcome(probe, metric)}" for probe in guard.probes)
    return (
        f"{where} is guarded, not zero-tuning: its bill holds {pluralize(len(guard.probes), 'probe')} there of "
        f"{pluralize(epochs, 'epoch')} in all, with multiples of the rule's learning rate (validation {metric}): "
        f"{probes}.{takes}"
    )


def _outcome(probe: Probe, metric: str) -> str:
    if probe.score is None:
        return "failed"
    return "diverged" if probe.diverged else format_score(probe.score, metric)


def carrying_methods(study: Study) -> Iterable[str]:
    """Yield what the methods section says on ties, extended ranges and guards."""
    tunes = [study.baseline.tune, *(arm.baseline.tune for arm in study.arms if arm.baseline is not None)]
    ties = [tune for tune in tunes if tune is not None and tune.ties == "smallest"]
    if ties:
        seeds = max(tune.tie_seeds for tune in ties)
        repeated = (
            f" The candidates are trained on up to {pluralize(seeds, 'further seed')}, none of which confirms, and "
            "compared by their means; the noise is that between seeds."
            if seeds
            else ""
        )
        yield (
            "Of the learning rates that B0 cannot tell apart, those within two standard errors of the best validation "
            f"score, the smallest is taken, as a precaution against failing at a larger batch.{repeated}"
        )
    if any(tune is not None and tune.extend for tune in tunes):
        yield (
            f"Where a baseline's best learning rate lies at an end of its range, up to {EXTENSIONS} trainings follow "
            "it beyond; they are billed as the search's."
        )
    guarded = [f"{arm.name} {arm.guard}" for arm in study.arms if arm.guard]
    if guarded:
        yield (
            f"Guarded rules spend short trainings at the target batch size, at most: {join_names(guarded)}. The first "
            f"probe has {START:g} times the rule's learning rate; it doubles while the validation score does not fall "
            "and halves after a probe that is lost: it diverged, scores no better than guessing, or fell past half-way "
            "from its best epoch to guessing. A probe has the schedule of the whole training and ends after the "
            f"warm-up and {AFTER_WARMUP:.0%} of what follows it, at the end of an epoch; past a warm-up as long as the "
            "run there is nothing to end, and in a table of past trainings a probe is a whole one."
        )


def describe_keys(keys: TieKeys) -> str:
    """Describe a baseline's search beyond its method; empty if there is nothing to say.

    >>> describe_keys(TieKeys(ties="smallest", extend=True))
    '; ties go to the smallest learning rate; extended at its ends'
    """
    seeds = f", told by {pluralize(keys.tie_seeds, 'further seed')}" if keys.tie_seeds else ""
    ties = f"; ties go to the smallest learning rate{seeds}" if keys.ties == "smallest" else ""
    return f"{ties}{'; extended at its ends' if keys.extend else ''}"
