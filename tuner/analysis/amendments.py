"""Amendments of a study: when they were made, what they added, and what they make of verdicts.

**Optional stopping.** Whoever adds seeds until a verdict is a yes finds one by chance more often than the level says.
So where test scores were known before something was added, the verdicts that rest on it are exploratory: what would be
a yes is called a less certain one, and what would be a less certain one is not shown. A yes of one comparison is tested
at `LEVEL` / 2, a less certain one is false in at most `LIKELY_LEVEL`; so by Bonferroni this holds for up to
`MAX_LOOKS` looks at the results, whatever each of them led to, and after more there is none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from .provenance import AMENDED, AMENDED_AFTER, BEGUN_AT, EXPLORATORY
from .verdict import LEVEL, LIKELY_LEVEL, Kind, Verdict

MAX_LOOKS: Final = round(LIKELY_LEVEL / (LEVEL / 2))
"""Looks at results, the last one included, after which a less certain yes still keeps its level."""

_LESS_CERTAIN: Final[Mapping[Kind, Kind]] = {"yes": "yes, but", "yes, but": "not shown"}


@dataclass(frozen=True, kw_only=True)
class Amendment:
    """An amendment of a study.

    Attributes:
        at: when it was made, ISO 8601 in UTC.
        added: what it added, such as "seeds 3 -> 5 (4, 5)".
        after: how many results there were, such as "12 of 12".
        exploratory: arms whose verdicts rest on it; empty if no test score was known, or none rests on it.
    """

    at: str
    added: str
    after: str
    exploratory: tuple[str, ...]


def read_amendments(sessions: Iterable[Mapping[str, str]]) -> tuple[Amendment, ...]:
    """Return the amendments that sessions of a study began with, in order."""
    return tuple(
        Amendment(
            at=session.get(BEGUN_AT, ""),
            added=session[AMENDED],
            after=session.get(AMENDED_AFTER, ""),
            exploratory=tuple(session.get(EXPLORATORY, "").split()),
        )
        for session in sessions
        if AMENDED in session
    )


def count_looks(amendments: Sequence[Amendment]) -> dict[str, int]:
    """Return the looks at results that each exploratory verdict rests on, the last one included, by arm.

    >>> first = Amendment(at="", added="seeds 3 -> 5 (4, 5)", after="12 of 12", exploratory=("sqrt",))
    >>> count_looks([first, first])
    {'sqrt': 3}
    """
    return {arm: 1 + number for arm, number in Counter(arm for a in amendments for arm in a.exploratory).items()}


def as_exploratory(verdict: Verdict, num_looks: int) -> Verdict:
    """Return an exploratory verdict: less certain, and without the seeds that would make it more so.

    >>> as_exploratory(Verdict(kind="yes", tolerance=0.0), num_looks=2).kind
    'yes, but'
    """
    kind = _LESS_CERTAIN.get(verdict.kind, verdict.kind)
    if kind == "yes, but" and num_looks > MAX_LOOKS:
        kind = "not shown"
    return replace(verdict, kind=kind, seeds_needed=None)
