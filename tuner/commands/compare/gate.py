"""The gate of `zerotune compare --require`: fail where the verdict does not allow what was asked."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ....trainers.tables import UnknownName, lookup
from ...analysis.comparison import Comparison
from ...analysis.verdict import Kind
from ...errors import BadInput, RequirementNotMet, StudyIncomplete
from ...reports.text.verdict import judged_arms
from .command import Requirement

if TYPE_CHECKING:
    from ...reports.answer import Answer


ALLOWED: Mapping[Requirement, tuple[Kind, ...]] = {
    Requirement.yes: ("yes",),
    Requirement.matches: ("yes",),
    Requirement.likely: ("yes", "yes, but"),
}
"""The verdicts that meet a requirement."""


def check_requirement(
    answer: "Answer", requirement: Requirement, *, arm: str | None = None, batch_size: int | None = None
) -> None:
    """Check that at every batch size, or at one, the verdict on an arm, or on at least one, meets the requirement.

    Args:
        answer: of the study.
        requirement: what is asked.
        arm: the only arm that counts; None for any judged arm.
        batch_size: the only batch size that counts; None for all of the study.

    Raises:
        BadInput: the study has no such batch size, or judges no such arm.
        StudyIncomplete: the study is unfinished, or the store lacks some of its results.
        RequirementNotMet: the verdict is another.
    """
    comparison = answer.comparison
    arms, sizes = _arms(comparison, arm), _batch_sizes(comparison, batch_size)
    if answer.incomplete:
        raise StudyIncomplete(f"--require {requirement}: the answer is not final: {answer.incomplete[0]}")
    failed = [size for size in sizes if not _is_met(comparison, arms, size, ALLOWED[requirement])]
    if failed:
        found = "; ".join(f"B={size:,} ({_describe(comparison, arms, size)})" for size in failed)
        wanted = " or ".join(f'"{kind}"' for kind in ALLOWED[requirement])
        raise RequirementNotMet(f"--require {requirement}: no verdict is {wanted} at {found}")


def _arms(comparison: Comparison, arm: str | None) -> tuple[str, ...]:
    facts = comparison.facts
    judged = judged_arms(facts)
    if arm is None:
        if not judged:
            raise BadInput(f"--require: study {facts.name!r} has no arm besides its reference {facts.reference!r}")
        return judged
    if arm == facts.reference:
        raise BadInput(f"--arm {arm}: is the reference, which the others are judged against: name another arm")
    try:
        lookup("arm", {name: name for name in facts.arms if name != facts.reference}, arm)
    except UnknownName as error:
        raise BadInput(f"--arm: {error}") from None
    return (arm,)


def _batch_sizes(comparison: Comparison, batch_size: int | None) -> Sequence[int]:
    sizes = comparison.facts.batch_sizes
    if batch_size is None:
        return sizes
    if batch_size not in sizes:
        known = ", ".join(map(str, sizes))
        raise BadInput(f"--batch-size {batch_size}: study {comparison.facts.name!r} has {known}")
    return (batch_size,)


def _is_met(comparison: Comparison, arms: Sequence[str], size: int, allowed: Sequence[Kind]) -> bool:
    verdicts = [comparison.row(arm, size).verdict for arm in arms]
    return any(verdict is not None and verdict.kind in allowed for verdict in verdicts)


def _describe(comparison: Comparison, arms: Sequence[str], size: int) -> str:
    verdicts = {arm: comparison.row(arm, size).verdict for arm in arms}
    return ", ".join(f"{arm}: {'no verdict' if found is None else found.kind}" for arm, found in verdicts.items())
