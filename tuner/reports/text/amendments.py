"""What was added to a study after it had begun, and what that means for its verdicts.

This module escapes nothing; the caller that draws a text escapes it.
"""

from collections.abc import Iterable

from ...analysis.amendments import Amendment, read_amendments
from ...analysis.verdict import LEVEL
from ..answer import Answer
from .format import join_names


def describe_amendments(subject: Answer) -> Iterable[str]:
    """Yield a sentence for every amendment of a study, then what its verdicts are worth; nothing without one."""
    amendments = read_amendments(subject.origin.sessions)
    yield from (f"{amendment_line(each)}." for each in amendments)
    judged = set(subject.comparison.facts.arms) - {subject.comparison.facts.reference}
    arms = [arm for arm in subject.comparison.facts.looks if arm in judged]
    if arms:
        yield (
            f"Test scores were known before that, so that the verdicts on {join_names(arms)} are exploratory: whoever "
            f"adds until a verdict is a yes may find one by chance in more than {LEVEL:.0%} of studies. What would be "
            "a yes is called less certain, and what would be less certain is not shown. For a verdict at its level, "
            "run a study of another name as it is now, with other seeds, and add nothing to it."
        )
    elif amendments:
        yield (
            "Nothing was added to a comparison after its test scores were known, so that each verdict keeps its level."
        )


def amendment_line(amendment: Amendment) -> str:
    """Return when a study was amended, after how many results, and what was added.

    >>> at = "2026-12-01T10:00:00+00:00"
    >>> amendment_line(Amendment(at=at, added="arm legw", after="12 of 12", exploratory=()))
    'Amended on 2026-12-01 after 12 of 12 results: arm legw'
    """
    return f"Amended on {amendment.at.partition('T')[0]} after {amendment.after} results: {amendment.added}"
