"""What a reader must know before the answer: that a study is unfinished, that results are missing, arms unconfirmed.

A complete study has no such sentence, nor does a store that does not say how many results there should be.
"""

from ...analysis.comparison import Comparison
from ...analysis.selection import BASELINE
from .format import pluralize

MAX_NAMED = 6
"""Number of arms that a sentence names."""


def describe_progress(
    num_results: int, num_expected: int | None, *, num_planned: int | None, has_ended: bool | None
) -> tuple[str, ...]:
    """State whether a stored study is unfinished, and how many of its results are missing; None means not known.

    >>> describe_progress(89, 89, num_planned=89, has_ended=True)
    ()
    >>> describe_progress(89, None, num_planned=None, has_ended=None)
    ()
    >>> describe_progress(7, 9, num_planned=None, has_ended=True)[0][:36]
    'Missing: 2 of 9 results, deleted in '

    Args:
        num_results: number of results that were read.
        num_expected: number of results that were written.
        num_planned: number of trials, if none fails and the budget suffices.
        has_ended: whether the study has ended.
    """
    sentences = []
    if has_ended is False:
        planned = "" if num_planned is None else f" of up to {num_planned}"
        sentences.append(
            f"Unfinished: {num_results}{planned} results so far. The study is still running, or was stopped; the "
            "command that started it continues it."
        )
    if num_expected is not None and num_expected > num_results:
        sentences.append(
            f"Missing: {num_expected - num_results} of {pluralize(num_expected, 'result')}, deleted in MLflow or not "
            "yet written. Scores, costs and warnings leave them out; zerotune sync writes them again from the journal."
        )
    return tuple(sentences)


def describe_unconfirmed(comparison: Comparison) -> tuple[str, ...]:
    """Name the arms, and the baseline, that lack confirmation runs or have no score."""
    facts, baseline = comparison.facts, comparison.baseline
    rows = [*([baseline] if baseline else []), *comparison.rows]
    places = [] if baseline else [f"{BASELINE} at B={facts.baseline_batch_size:,} (0 of {facts.num_seeds})"]
    places += [
        f"{row.arm} at B={row.batch_size:,} ({row.num_seeds} of {facts.num_confirmations(row.arm)}"
        f"{f', {row.num_failed} failed' if row.num_failed else ''})"
        for row in rows
        if row.num_seeds < facts.num_confirmations(row.arm) or row.num_seeds == row.num_failed
    ]
    if not places:
        return ()
    more = [f"and {len(places) - MAX_NAMED} more"] if len(places) > MAX_NAMED else []
    return (f"Not confirmed by every seed: {', '.join([*places[:MAX_NAMED], *more])}.",)
