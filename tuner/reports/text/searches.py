"""What became of the searches, in sentences: how many trials were useless, which search ended early, what that spared.

This module escapes nothing; the caller that draws a text escapes it.
"""

from collections.abc import Iterable, Sequence

from ...analysis.comparison import Comparison
from ...analysis.searches import Ended, Search
from ...study import ArmDefinition, Study
from ...study.stopping import LEAST_TRIALS, StopDefinition, complete_stop
from .costs import cost_unit
from .format import format_amount, join_names, pluralize
from .scores import format_score


def describe_searches(comparison: Comparison) -> tuple[str, ...]:
    """Return a sentence for every search that ended early, and one on the useless trials of all searches."""
    ended = [_describe_end(comparison, one, one.ended) for one in comparison.searches if one.ended is not None]
    return (*ended, *_describe_useless(comparison.searches))


def _describe_end(comparison: Comparison, search: Search, ended: Ended) -> str:
    facts, left = comparison.facts, search.num_left
    if ended.terminator is not None:
        why = (
            f"by Optuna's terminator {ended.terminator}, more trials could hardly improve on the best one's "
            f"{facts.metric} by more than {100 * (1 - facts.margin):.3g}% of it"
        )
    else:
        assert ended.chance is not None
        assert ended.level is not None
        assert ended.score is not None
        why = (
            f"the chance that {'the one' if left == 1 else f'one of the {left:,}'} left would validate better than "
            f"{ended.arm} ({format_score(ended.score, facts.metric)}) by more than {100 * (1 - facts.margin):.3g}% "
            f"of that was estimated at {100 * ended.chance:.2g}%, below the level of {100 * ended.level:.3g}%"
        )
    unit = cost_unit("device_seconds", [], tabulated=comparison.tabulated).label
    seconds = f", about {format_amount(ended.device_seconds)} {unit} at the mean of the others"
    return (
        f"{search.arm} at B={search.batch_size:,} ended early, after {search.num_trials:,} of {ended.num_planned:,} "
        f"trials: {why}. Not spent: {pluralize(left, 'training')}{seconds if ended.device_seconds else ''}."
    )


def _describe_useless(searches: Sequence[Search]) -> Iterable[str]:
    if not searches:
        return
    by_arm: dict[str, list[str]] = {}
    for one in searches:
        counted = f"{one.num_useless:,} of {one.num_whole:,} at B={one.batch_size:,}"
        by_arm.setdefault(one.arm, []).append(counted)
    counts = "; ".join(f"{arm} {join_names(counted)}" for arm, counted in by_arm.items())
    pruned = " Pruned trials are left out." if any(one.num_whole < one.num_trials for one in searches) else ""
    yield f"Useless trials ({_definition(searches)}): {counts}.{pruned}"


def _definition(searches: Sequence[Search]) -> str:
    """Return what a useless trial is in these searches."""
    measured = any(one.measure is not None for one in searches)
    guessed = any(one.measure is None and one.useless_from is not None for one in searches)
    nearer = "validated nearer to guessing than to the best arm without a search"
    if measured and guessed:
        return f"diverged, failed, {nearer}, or no better than guessing where no such arm is sound and better"
    if not measured and not guessed:
        return "diverged or failed"
    return f"diverged, failed or {nearer if measured else 'validated no better than guessing'}"


def why_no_saving(search: Search) -> str:
    """Return why no saving is claimed against a search whose trials were mostly useless."""
    return (
        f"No saving is claimed: {search.num_useless:,} of the {search.num_whole:,} trials of {search.arm} that were "
        "not pruned were useless, so that a saving would only say how badly its search was laid out."
    )


def describe_early_ends(study: Study) -> tuple[str, ...]:
    """Return a sentence for every arm whose search may end early, before a trial is trained."""
    sentences = []
    for arm in study.arms:
        if (stop := complete_stop(study, arm)) is not None:
            sentences.append(
                f"{arm.name} may end early: {describe_stop(study, stop)}. {stop.arm} is trained before it."
            )
        if arm.terminator is not None:
            sentences.append(f"{arm.name} may end early, where Optuna's terminator {arm.terminator} says so.")
    return tuple(sentences)


def describe_stop(study: Study, stop: StopDefinition) -> str:
    """Return when a search ends early."""
    return (
        f"after every {pluralize(stop.every or 1, 'trial')}, from the {LEAST_TRIALS}th on, where the chance is below "
        f"{100 * stop.level:.3g}% that one of the trials left validates better than {stop.arm} by more than "
        f"{100 * (1 - study.margin):.3g}% of its score"
    )


def format_early_end(study: Study, arm: ArmDefinition) -> str:
    """Format how an arm's search may end early, to follow what it searches; empty if it does not."""
    stop = complete_stop(study, arm)
    parts = [] if stop is None else [f"; ends {describe_stop(study, stop)}"]
    parts += [] if arm.terminator is None else [f"; ends where Optuna's terminator {arm.terminator} says so"]
    return "".join(parts)
