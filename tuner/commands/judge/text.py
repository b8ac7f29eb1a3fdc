"""The answer of past trainings as sentences. This module must not know plotly, rich or files."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from ...analysis.lost_seeds import lost_share_bounds
from ...analysis.past_judgement import ArmFinding, PastAnswer, PastArm, WorkloadFinding
from ...analysis.verdict import Kind
from ...reports.text.format import format_amount, format_share, join_names, pluralize

PLACES: tuple[tuple[Kind, str], ...] = (
    ("yes", "as good on"),
    ("yes, but", "as good, less certain, on"),
    ("worse", "worse on"),
    ("unreliable", "unreliable on"),
    ("not shown", "not shown on"),
    ("cannot be judged", "not judged on"),
)
"""Kinds of verdicts and how a sentence speaks of their workloads."""

NEAR = 0.002
"""Difference to a published score that is one step of the profile's grid, or two."""


def headline(answer: PastAnswer) -> str:
    """Say in one sentence on how many workloads the first zero-tuned arm spares tuning, and what that saves."""
    arm = answer.arms[0]
    counts = [(text, len(of_kind(arm, kind))) for kind, text in PLACES if kind not in ("yes", "yes, but")]
    others = join_names([f"{text} {count}" for text, count in counts if count] or [""])
    rest = f"; it is {others}" if others else ""
    workloads, trials = pluralize(len(arm.workloads), "workload"), pluralize(answer.num_trials, "trial")
    if not arm.spared:
        return (
            f"On none of {workloads} is one training of {arm.arm}, not tuned, shown to do as well as the best of "
            f"{trials} of {answer.tuned_name}{rest}."
        )
    uncertain = len(of_kind(arm, "yes, but"))
    certain = f" ({uncertain} of them less certain)" if uncertain else ""
    return (
        f"On {len(arm.spared)} of {workloads}{certain} tuning can be skipped: one training of {arm.arm}, not tuned, "
        f"does as well as the best of {trials} of {answer.tuned_name} and {_saving(arm)}{rest}."
    )


def _saving(arm: ArmFinding) -> str:
    """Say what an arm saves where it spares tuning, which may be nothing: its trainings may take longer."""
    if arm.saved is None:
        return "spares the others"
    if arm.saved < 0:
        return f"takes {format_share(-arm.saved)} more device-seconds there"
    return f"saves {format_share(arm.saved)} of the device-seconds there"


def of_kind(arm: ArmFinding, kind: Kind) -> list[WorkloadFinding]:
    """Return an arm's workloads with a kind of verdict."""
    return [one for one in arm.workloads if one.verdict.kind == kind]


def sentences(answer: PastAnswer) -> tuple[str, ...]:
    """Describe each arm, the luck of a search, K*, the cost, and how the published scores are met."""
    return (
        *(_describe_arm(answer, arm) for arm in answer.arms),
        *_describe_luck(answer),
        _describe_trials(answer),
        _describe_time(answer),
        *_describe_published(answer),
    )


def _describe_arm(answer: PastAnswer, arm: ArmFinding) -> str:
    parts = [f"{text} {_places(found, kind)}" for kind, text in PLACES if (found := of_kind(arm, kind))]
    families = _count(len(set(answer.families.values())), "family", "families")
    return f"{arm.arm}: {'; '.join(parts)}. {_lost(arm)} Over {families} of workloads: {_pooled(arm)}."


def _places(found: Sequence[WorkloadFinding], kind: Kind) -> str:
    shown = [one.verdict.difference if kind in ("worse", "not shown") else None for one in found]
    return join_names(
        [
            one.workload if difference is None else f"{one.workload} ({format_difference(difference.mean)})"
            for one, difference in zip(found, shown, strict=True)
        ]
    )


def format_difference(share: float) -> str:
    """Format a difference to the reference as a share of its score.

    >>> format_difference(-0.0123), format_difference(0.0)
    ('-1.2%', '+0.0%')
    """
    return f"{100 * share:+.1f}%"


def _count(number: int, word: str, plural: str) -> str:
    return f"{number} {word if number == 1 else plural}"


def _lost(arm: ArmFinding) -> str:
    low, high = lost_share_bounds(arm.num_lost, arm.num_trainings)
    trainings = pluralize(arm.num_trainings, "training")
    if not arm.num_lost:
        return f"None of {trainings} was lost; up to {high:.1%} could still fail."
    return f"{arm.num_lost} of {trainings} lost (true rate {low:.0%} to {high:.0%})."


def _pooled(arm: ArmFinding) -> str:
    found = arm.pooled.difference
    if found is None:
        return arm.pooled.kind
    ends = "" if found.low is None or found.high is None else f" ({_ends(found.low, found.high)})"
    where = f" on the {arm.pooled.num_pairs} where neither lost a training" if arm.pooled.kind == "unreliable" else ""
    return f"{arm.pooled.kind}, {format_difference(found.mean)}{ends} of the tuned score{where}"


def _ends(low: float, high: float) -> str:
    return f"{format_difference(low)} to {format_difference(high)}"


def _describe_luck(answer: PastAnswer) -> Iterator[str]:
    arm = answer.arms[0]
    spreads = [(one.tuned.luck, one.workload) for one in arm.workloads if one.tuned.luck is not None]
    if not spreads:
        return
    largest, where = max(spreads)
    own = [one.zero.luck for one in arm.workloads if one.zero.luck is not None]
    beside = f"; single trainings of {arm.arm} span {median(own):.1%}" if own else ""
    yield (
        f"The luck of a search: over {_count(answer.num_studies, 'study', 'studies')}, the test score of "
        f"{answer.tuned_name}'s best of {answer.num_trials} spans {median(luck for luck, _ in spreads):.1%} of its "
        f"median (median over workloads; at most {largest:.1%}, on {where}){beside}."
    )


def _describe_trials(answer: PastAnswer) -> str:
    arm = answer.arms[0]
    counts = Counter(one.trials_to_match for one in arm.workloads)
    numbers = [f"{k} on {counts[k]}" for k in sorted(k for k in counts if k is not None)]
    numbers += [f"more than {answer.num_trials} on {counts[None]}"] if counts[None] else []
    return (
        f"K*, the trials of {answer.tuned_name} whose expected best validates within {_tolerance(answer)} of one "
        f"training of {arm.arm}: {join_names(numbers)} of the workloads."
    )


def _tolerance(answer: PastAnswer) -> str:
    return f"{100 * (1 - answer.margin):.2g}%"


def _describe_time(answer: PastAnswer) -> str:
    arm = answer.arms[0]
    zero, tuned = format_reached(one.zero for one in arm.workloads), format_reached(one.tuned for one in arm.workloads)
    ratios = [
        one.zero.seconds_to_target / one.tuned.seconds_to_target
        for one in arm.workloads
        if max(one.zero.seconds_to_target, one.tuned.seconds_to_target) < math.inf and one.tuned.seconds_to_target > 0
    ]
    hours = [math.fsum(getattr(one, side).bill for one in arm.workloads) / 3600 for side in ("zero", "tuned")]
    slower = ""
    if ratios:
        slower = (
            f" Where most of both reach it ({pluralize(len(ratios), 'workload')}), {arm.arm} takes "
            f"{median(ratios):.2g} times as long as the fastest of {pluralize(answer.num_trials, 'trial')} run at once "
            f"(median; {min(ratios):.2g} to {max(ratios):.2g})."
        )
    return (
        f"The target is reached by {zero} trainings of {arm.arm} and by {tuned} searches of {answer.tuned_name}."
        f"{slower} A training on every workload took {format_amount(hours[0])} hours, a search on "
        f"every workload {format_amount(hours[1])}."
    )


def format_reached(arms: Iterable[PastArm]) -> str:
    """Format how many studies reach the target: "60 of 70"."""
    found = list(arms)
    return f"{sum(one.reached for one in found)} of {sum(len(one.studies) for one in found)}"


def _describe_published(answer: PastAnswer) -> Iterator[str]:
    pairs = published_pairs(answer)
    if not pairs:
        return
    near = sum(abs(ours - theirs) < NEAR for _, _, ours, theirs in pairs)
    arm, ruleset, ours, theirs = max(pairs, key=lambda pair: abs(pair[2] - pair[3]))
    yield (
        f"The benchmark's score, computed from these trainings, is within {NEAR} of the published one for {near} of "
        f"{pluralize(len(pairs), 'submission')}; the farthest is {arm} ({ruleset}): {ours:.3f} against {theirs:.3f}."
    )


def published_pairs(answer: PastAnswer) -> list[tuple[str, str, float, float]]:
    """Return arm, ruleset, the score computed here and the published one, for every published submission."""
    if answer.benchmark is None:
        return []
    ours = {"tuned": answer.tuned_scores, "zero-tuned": answer.zero_scores}
    return [
        (arm, ruleset, ours[ruleset][arm], theirs)
        for ruleset, published in answer.benchmark.published.items()
        for arm, theirs in published.items()
        if arm in ours[ruleset]
    ]


def notes(answer: PastAnswer) -> tuple[str, ...]:
    """Return what a reader must know to trust the answer: pairs, levels, where trainings end, what is missing."""
    return (
        "A search chooses its training with the best validation score; its test score is that training's own, for "
        f"nobody trained it again. As good: not worse by {_tolerance(answer)} of the tuned score, paired by the "
        "studies' numbers, at a level that counts every arm and workload above (Holm). Less certain: one comparison "
        "alone.",
        "Lost: a training without a test score, or with a test score past half-way from the tuned one to that of the "
        "first evaluations. One lost training makes an arm unreliable.",
        "A family is a workload with its variants: one replicate of the pooled verdict, which speaks of workloads like "
        "these.",
        *_note_not_judged(answer),
        *_note_ends(answer),
        *_note_benchmark(answer),
        *_note_missing(answer),
    )


def _note_not_judged(answer: PastAnswer) -> Iterator[str]:
    names = [one.workload for one in answer.arms[0].workloads if one.verdict.reason is not None]
    if names:
        yield (
            f"Not judged: {join_names(names)}, where {answer.tuned_name} lost most of its searches or is no better "
            "than almost untrained models."
        )


def _note_ends(answer: PastAnswer) -> Iterator[str]:
    arms = [(answer.tuned_name, [one.tuned for one in answer.arms[0].workloads])]
    arms += [(arm.arm, [one.zero for one in arm.workloads]) for arm in answer.arms]
    ended = [
        f"{name} {sum(one.num_stopped for one in found)} of {reached}"
        for name, found in arms
        if (reached := sum(one.num_at_target for one in found))
    ]
    if ended:
        yield (
            f"Trainings that reached the target, and ended there: {'; '.join(ended)}. Beyond a target at which "
            "trainings end, scores tell little of the arms, and the time tells more."
        )


def _note_benchmark(answer: PastAnswer) -> Iterator[str]:
    unstated = [one.workload for one in answer.arms[0].workloads if not one.is_stated]
    if unstated:
        yield f"No target is stated for {join_names(unstated)}: it is {answer.tuned_name}'s median best."
    if answer.benchmark:
        yield (
            f"A zero-tuned training had {answer.benchmark.budget_factor:g} times the time of a tuned one. Hours are "
            f"those of {answer.benchmark.machine}. A time to target is that of the first recorded score that "
            "reaches it."
        )


def _note_missing(answer: PastAnswer) -> Iterator[str]:
    tuned = sum(study.num_missing for one in answer.arms[0].workloads for study in one.tuned.studies)
    zero = sum(study.num_missing for arm in answer.arms for one in arm.workloads for study in one.zero.studies)
    if tuned or zero:
        yield (
            f"Not in the files, though other studies of the same arm have them: {pluralize(tuned, 'training')} of "
            f"{answer.tuned_name}, {zero} of the zero-tuned arms. They count as lost and cost nothing here."
        )
