"""The batch-size regimes of an application: where their boundaries lie, and which batch size to try next.

An application whose baseline at B0 reaches score A with validation loss xi has three boundaries (LIMIT, arXiv
2006.08517, Definitions 2.1 to 2.3). Below B_L, linear scaling keeps the score and a loss of at most 1.2 xi. Above B_H,
no method of the study keeps the score in the same number of epochs. B_F is the number of training samples. B_L and B_H
are found by bisection over B0 times powers of two, which assumes a monotone response. Pure functions of verdicts: this
module must not know what a verdict is based on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...errors import BadInput

Definition = Literal["first failure", "last success"]
"""Where a boundary lies if the response is not monotone: B_L is the smallest batch size that fails, since all below it
must hold (Definition 2.1); B_H is the largest that holds, since none above it may (Definition 2.2)."""


def ladder(baseline_batch_size: int, num_train: int) -> tuple[int, ...]:
    """Return the batch sizes that may be tried: B0 times powers of two up to n, and the full batch n.

    Args:
        baseline_batch_size: B0, in samples, >= 1.
        num_train: number of training samples n, >= 1.

    Returns:
        Batch sizes in ascending order, all above B0; empty if B0 is n.

    >>> ladder(32, 300), ladder(20, 160), ladder(60, 60)
    ((64, 128, 256, 300), (40, 80, 160), ())
    """
    doublings = range(1, (num_train // baseline_batch_size).bit_length())
    return tuple(sorted({*(baseline_batch_size * 2**i for i in doublings), num_train} - {baseline_batch_size}))


def select_rungs(rungs: Sequence[int], first: int | None, last: int | None) -> tuple[int, ...]:
    """Return the part of a ladder that is searched.

    Args:
        rungs: from `ladder`, not empty.
        first: smallest batch size to try; None for the first of the ladder.
        last: largest batch size to try; None for the last of the ladder.

    Raises:
        BadInput: one of them is not on the ladder, or they are in the wrong order.
    """
    listed = ", ".join(f"{rung:,}" for rung in rungs)
    for option, value in (("--from", first), ("--to", last)):
        if value is not None and value > rungs[-1]:
            raise BadInput(f"{option} {value}: is above the {rungs[-1]:,} training samples; choose one of {listed}")
        if value is not None and value not in rungs:
            raise BadInput(f"{option} {value}: is not B0 times a power of two above 1; choose one of {listed}")
    low, high = rungs[0] if first is None else first, rungs[-1] if last is None else last
    if low > high:
        raise BadInput(f"--from {low}: is above --to {high}; exchange them")
    return tuple(rung for rung in rungs if low <= rung <= high)


@dataclass(frozen=True, kw_only=True)
class Bracket:
    """The interval in which a boundary lies.

    Attributes:
        holds: largest batch size below the boundary that holds; None if no tried one does.
        fails: smallest batch size above the boundary that fails; None if no tried one does.
        closed: whether no batch size of the ladder lies between them.
        contradictions: batch sizes that fail and larger ones that hold, if the response is not monotone.
    """

    holds: int | None
    fails: int | None
    closed: bool
    contradictions: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())


def find_bracket(rungs: Sequence[int], verdicts: Mapping[int, bool], definition: Definition) -> Bracket:
    """Return the bracket of a boundary on an ascending ladder, given whether the batch sizes that were tried hold.

    >>> find_bracket((64, 128, 256), {64: True, 128: False}, "first failure")
    Bracket(holds=64, fails=128, closed=True, contradictions=((), ()))
    """
    low, high = _positions(rungs, verdicts, definition)
    holding = [rung for rung, holds in sorted(verdicts.items()) if holds]
    failing = [rung for rung, holds in sorted(verdicts.items()) if not holds]
    return Bracket(
        holds=rungs[low] if low >= 0 else None,
        fails=rungs[high] if high < len(rungs) else None,
        closed=high - low == 1,
        contradictions=(
            tuple(rung for rung in failing if holding and rung < holding[-1]),
            tuple(rung for rung in holding if failing and rung > failing[0]),
        ),
    )


def next_rung(
    rungs: Sequence[int], verdicts: Mapping[int, bool], definition: Definition, *, check: bool = True
) -> int | None:
    """Return the batch size to try next: the middle of the bracket or, once it is closed, one above it as a check.

    Of m batch sizes, at most ceil(log2(m + 1)) are tried if the response is monotone, plus one for the check.

    Args:
        rungs: the batch sizes that may be tried, ascending.
        verdicts: whether a batch size holds, for those tried.
        definition: which boundary is searched.
        check: whether to try the batch size after the first that fails too, in case the response is not monotone.

    Returns:
        A batch size that is not in `verdicts`; None if the boundary is found.
    """
    low, high = _positions(rungs, verdicts, definition)
    if high - low > 1:
        return rungs[(low + high) // 2]
    if check and high + 1 < len(rungs) and rungs[high + 1] not in verdicts:
        return rungs[high + 1]
    return None


def _positions(rungs: Sequence[int], verdicts: Mapping[int, bool], definition: Definition) -> tuple[int, int]:
    """Return the index that holds (-1 for B0) and the index above that fails (the ladder's length for none)."""
    holding = [place for place, rung in enumerate(rungs) if verdicts.get(rung) is True]
    failing = [place for place, rung in enumerate(rungs) if verdicts.get(rung) is False]
    if definition == "first failure":
        high = min(failing, default=len(rungs))
        return max((place for place in holding if place < high), default=-1), high
    low = max(holding, default=-1)
    return low, min((place for place in failing if place > low), default=len(rungs))
