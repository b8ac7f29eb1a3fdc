"""Counts and quartiles over replicates of a study. This module must not know how they are printed."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...analysis.verdict import Kind
from .replicates import Replicate, Sentence

Quartiles = tuple[float, float, float]
"""Lower quartile, median and upper quartile, each a value that occurred."""


@dataclass(frozen=True, kw_only=True)
class ArmSummary:
    """What replicates said of an arm at a batch size.

    Attributes:
        said: how often each kind of verdict was said.
        true: how often each was true; kinds that claim nothing are left out.
        true_gain: of the true improvement over the reference; None without a value, as the next two.
        saving: of the savings, where a verdict allows one.
        trials_to_match: of K*; infinite where it was not reached.
        num_trials: upper limit of K*; 0 for the reference.
        regret: of a search's regret; None for a rule.
    """

    arm: str
    batch_size: int
    said: Mapping[Kind, int]
    true: Mapping[Kind, int]
    true_gain: Quartiles | None
    saving: Quartiles | None
    trials_to_match: Quartiles | None
    num_trials: int
    regret: Quartiles | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What replicates said of a study.

    Attributes:
        arms: in the study's order.
        num_replicates: how many there are.
        num_trials: trainings that were looked up.
        num_failed: those that the table does not have.
        studies_with_false: replicates with at least one false verdict of a kind, for "yes" and "worse".
    """

    arms: tuple[ArmSummary, ...]
    num_replicates: int
    num_trials: int
    num_failed: int
    studies_with_false: Mapping[Kind, int] = field(default_factory=dict)

    def said(self, kind: Kind) -> int:
        """Return how often a kind of verdict was said of any arm."""
        return sum(arm.said.get(kind, 0) for arm in self.arms)

    def true(self, kind: Kind) -> int:
        """Return how often it was true."""
        return sum(arm.true.get(kind, 0) for arm in self.arms)


def summarise(replicates: Iterable[Replicate]) -> Summary:
    """Return the summary of replicates, whatever their order."""
    known = sorted(replicates, key=lambda replicate: replicate.number)
    by_place: dict[tuple[int, str], list[Sentence]] = {}
    for replicate in known:
        for sentence in replicate.sentences:
            by_place.setdefault((sentence.batch_size, sentence.arm), []).append(sentence)
    return Summary(
        arms=tuple(map(_summarise_arm, by_place.values())),
        num_replicates=len(known),
        num_trials=sum(replicate.num_trials for replicate in known),
        num_failed=sum(replicate.num_failed for replicate in known),
        studies_with_false={kind: sum(replicate.says_falsely(kind) for replicate in known) for kind in _OF_A_STUDY},
    )


_OF_A_STUDY: tuple[Kind, ...] = ("yes", "worse")
"""Verdicts whose level counts studies, see `tuner.analysis.verdict`."""


def _summarise_arm(sentences: Sequence[Sentence]) -> ArmSummary:
    first = sentences[0]
    is_judged = any(one.kind is not None for one in sentences)
    matched = [math.inf if one.trials_to_match is None else one.trials_to_match for one in sentences if one.num_trials]
    return ArmSummary(
        arm=first.arm,
        batch_size=first.batch_size,
        said=dict(Counter(one.kind for one in sentences if one.kind is not None)),
        true=dict(Counter(one.kind for one in sentences if one.kind is not None and one.is_true)),
        true_gain=quartiles(one.true_gain for one in sentences) if is_judged else None,
        saving=quartiles(one.saving for one in sentences),
        trials_to_match=quartiles(matched),
        num_trials=max(one.num_trials for one in sentences),
        regret=quartiles(one.regret for one in sentences),
    )


def quartiles(values: Iterable[float | None]) -> Quartiles | None:
    """Return the quartiles of the values that are there; None without any.

    >>> quartiles([4, None, 1, 3, 2]), quartiles([])
    ((1, 2, 3), None)
    """
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    low, middle, high = (known[max(0, math.ceil(share * len(known)) - 1)] for share in (0.25, 0.5, 0.75))
    return low, middle, high
