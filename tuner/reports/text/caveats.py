"""What a study's numbers do not show: a reviewer's first objections, derived from the study itself."""

from collections.abc import Iterable, Sequence
from statistics import median

from ...analysis.comparison_row import ComparisonRow
from ...analysis.provenance import REMARKS
from ...analysis.search_outcomes import search_spread
from ...study.remarks import study_remarks
from ...study.search_space import has_range
from ..answer import Answer
from .amendments import describe_amendments
from .configuration import format_value, num_planned_trials
from .format import join_names, pluralize
from .mixed_trainings import mixed_trainings
from .scores import format_points
from .searched_constants import searched_constants


def caveats(subject: Answer) -> tuple[str, ...]:
    """Return the caveats that apply to the study, one or two sentences each."""
    of_scores = (_seeds, _searches, _repeats, _neighbours, _edges, _learned)
    of_study = (describe_amendments, mixed_trainings, _remarks)
    found = (*of_study, *of_scores, _rules, searched_constants, _reused, _packed, _machines, _scope)
    return tuple(sentence for caveat in found for sentence in caveat(subject))


def _place(row: ComparisonRow) -> str:
    return f"{row.arm} at B={row.batch_size:,}"


def _remarks(subject: Answer) -> Iterable[str]:
    """State what the sanity check remarked on a user application, each remark once."""
    texts = (session.get(REMARKS, "") for session in subject.origin.sessions)
    return tuple(dict.fromkeys(f"Of the application: {remark}" for text in texts for remark in text.splitlines()))


def _seeds(subject: Answer) -> Iterable[str]:
    comparison, facts = subject.comparison, subject.comparison.facts
    widths = [
        (row.verdict.difference.high - row.verdict.difference.low) / 2
        for row in comparison.rows
        if row.verdict and row.verdict.difference and row.verdict.difference.low is not None
        if row.verdict.difference.high is not None
    ]
    tolerances = [row.verdict.tolerance for row in comparison.rows if row.verdict]
    if not widths:
        return
    width, tolerance = (format_points(value, facts.metric, signed=False) for value in (median(widths), tolerances[0]))
    yield (
        f"{pluralize(facts.num_seeds, 'seed')} a configuration: the intervals of the differences reach {width} to "
        f"either side (their median), and {tolerance} may be lost by a yes. Student's t takes differences for "
        f"normal, which {pluralize(facts.num_seeds, 'value')} cannot show."
    )


def _searches(subject: Answer) -> Iterable[str]:
    """State what "tuned" means here: the number of trials, and searches that made fewer than planned."""
    arms = {arm.name: arm for arm in subject.origin.study.arms if arm.is_search}
    rows = [row for row in subject.comparison.rows if row.arm in arms]
    if not rows:
        return
    early = subject.comparison.facts.early_ends
    sizes = [
        f"{name} {'up to ' if name in early else ''}{pluralize(num_planned_trials(arm), 'trial')}"
        for name, arm in arms.items()
    ]
    once = [name for name, arm in arms.items() if arm.repeats == 1]
    luckier, luck = "", ""
    if once:
        luckier = " or luckier"
        whose = "" if len(once) == len(arms) else f" of {join_names(once)}"
        luck = (
            f": the seeds repeat the trainings of one search's choice{whose}, not the search, so no interval holds the "
            "luck of searching (an arm's repeats would show it)"
        )
    yield (
        f'"Tuned" is as strong as its search: {join_names(sizes)} a batch size, in the ranges above. A longer{luckier} '
        f"search may find more{luck}."
    )
    ended = {(one.arm, one.batch_size) for one in subject.comparison.searches if one.ended is not None}
    short = [
        f"{_place(row)} ({row.search.trials} of {num_planned_trials(arms[row.arm])})"
        for row in rows
        if row.search.trials < num_planned_trials(arms[row.arm]) and (row.arm, row.batch_size) not in ended
    ]
    if short:
        yield f"Searches that made fewer trials than defined: {join_names(short)}."


def _repeats(subject: Answer) -> Iterable[str]:
    """State how much repeated searches differ, and that so few show little of the luck of searching."""
    metric = subject.comparison.facts.metric
    found = [(row, search_spread(row.searches)) for row in subject.comparison.rows if len(row.searches) > 1]
    spreads = [
        f"{format_points(spread, metric, signed=False)} for {_place(row)} ({row.num_searches} searches)"
        for row, spread in found
        if spread is not None
    ]
    if spreads:
        yield (
            "The choices of repeated searches, each as its mean over the seeds, have a standard deviation of "
            f"{join_names(spreads)}. Intervals and verdicts hold that luck as normal, as seeds' is taken to be."
        )


def _neighbours(subject: Answer) -> Iterable[str]:
    """State what the bill of a search that started from a neighbour leaves out."""
    study = subject.origin.study
    arms = [arm.name for arm in study.arms if arm.start_from is not None]
    if arms and len(study.batch_sizes) > 1:
        yield (
            f"Every search of {join_names(arms)} starts from what the arm chose at the next smaller batch size, and is "
            "billed for its own trials alone. Whoever trains at one batch size alone pays for the searches at the "
            "smaller ones too, so savings against it are rather understated."
        )


def _edges(subject: Answer) -> Iterable[str]:
    spaces = subject.comparison.facts.spaces.values()
    edges = [
        f"{edge.arm} at B={edge.batch_size:,} chose {edge.name} {format_value(edge.value)} of {edge.low:g} to "
        f"{edge.high:g}"
        for edge in subject.comparison.edges
    ]
    if edges:
        yield f"Choices on the edge of what was searched, so that a better one may lie outside: {'; '.join(edges)}."
    elif has_range(spaces):
        yield (
            "No chosen number lies on the edge of the range it was searched in (within 5% of its width; 0 is no edge)."
        )
    elif spaces:
        yield "Nothing was searched over a range: of two values or of names, a better one may lie outside."


def _learned(subject: Answer) -> Iterable[str]:
    facts = subject.comparison.facts
    once = [arm.name for arm in subject.origin.study.arms if arm.repeats == 1]
    arms = [arm for arm in facts.learned_arms if arm in once]
    if arms:
        yield (
            f"The search of {join_names(arms)} learns from earlier trials, so these are not exchangeable, and it "
            "was run once: best-of-k curves, success rates and K* describe this one search and are no estimate for "
            "another."
        )


def _rules(subject: Answer) -> Iterable[str]:
    return study_remarks(subject.origin.study)


def _reused(subject: Answer) -> Iterable[str]:
    """State how many results were reused."""
    results = [result for result in subject.results if result.reused_from is not None]
    if results:
        own = subject.comparison.facts.name
        others = {(result.reused_from or "").rpartition("/")[0] for result in results} - {own}
        whose = f"trials of this study and of {join_names(sorted(others))}" if others else "other trials of this study"
        yield (
            f"{pluralize(len(results), 'result')} of {whose} that trained the same were reused. The cost to a "
            "model counts them as if trained again, in the seconds that they had taken; what the study spent leaves "
            "them out."
        )


def _packed(subject: Answer) -> Iterable[str]:
    """State that the seconds of packed trials are not wall-clock seconds."""
    packing = subject.origin.study.resources.packing
    if packing not in ("off", 1):
        yield (
            f"Trials may have been trained several at once (packing: {packing}), and no result says which: each has an "
            "equal part of its pack's seconds. Seconds to the baseline's score and wall-seconds are then fewer than "
            "the clock's, and a speed-up is understated where the baseline's runs were packed and an arm's were not."
        )


def _machines(subject: Answer) -> Iterable[str]:
    if subject.comparison.tabulated:
        return
    hosts = sorted({result.host for result in subject.results if result.host})
    devices = sorted({result.device for result in subject.results if result.device})
    if len(devices) > 1:
        yield (
            f"Seconds were spent on different devices ({join_names(devices)}) and are not of the same worth; FLOPs are."
        )
    elif len(hosts) == 1:
        yield "One machine: on another, seconds and their ratios differ. FLOPs, epochs and trials do not."
    yield (
        "Other work on the machine, trainings side by side included, lengthens seconds and is not known here: where "
        "savings in seconds and in FLOPs disagree, trust FLOPs."
    )


def _scope(subject: Answer) -> Iterable[str]:
    study, facts = subject.origin.study, subject.comparison.facts
    longest = max(study.epochs, *(study.epochs_of(arm) for arm in study.arms))
    most = "" if longest == study.epochs else "at most "
    yield (
        f"One application, one data set and {most}{pluralize(longest, 'epoch')}: nothing here says what a longer "
        f"training would change, or holds beyond {_format_sizes(facts.batch_sizes)}."
    )
    resting = [arm.name for arm in study.arms if not arm.is_search and arm.baseline is None]
    if subject.comparison.baseline_stated and resting:
        yield (
            f"The baseline at B0={facts.baseline_batch_size:,} was stated, not searched: what finding it once took "
            f"is not billed to {join_names(resting)}."
        )


def _format_sizes(batch_sizes: Sequence[int]) -> str:
    if len(batch_sizes) == 1:
        return f"batch size {batch_sizes[0]:,}"
    return f"batch sizes {batch_sizes[0]:,} to {batch_sizes[-1]:,}"
