"""Why an arm cannot be judged, in a clause."""

from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...analysis.lost_seeds import Seeds
from ...analysis.study_facts import StudyFacts
from .scores import format_score
from .seeds import describe_seeds


def why_not_judged(comparison: Comparison, row: ComparisonRow) -> str:
    """Say why an arm cannot be judged."""
    facts, verdict = comparison.facts, row.verdict
    guess = comparison.yardstick.guessing.score
    guessing = "" if guess is None else f" (guessing gives {format_score(guess, facts.metric)})"
    reason = None if verdict is None else verdict.reason
    if reason == "baseline guesses":
        seeds = comparison.yardstick.baseline
        return f"the baseline at B0={facts.baseline_batch_size:,} {_fault(seeds)}: {_all(seeds, facts)}{guessing}"
    if reason == "reference guesses":
        reference = comparison.row(facts.reference, row.batch_size).seeds
        return f"{facts.reference} {_fault(reference)}: {_all(reference, facts)}{guessing}"
    missing = facts.reference if reason == "reference unconfirmed" else row.arm
    return f"{missing} has no confirmed score"


def _fault(seeds: Seeds) -> str:
    return "lost most of its seeds" if len(seeds.lost) > len(seeds.scores) else "is no better than guessing"


def _all(seeds: Seeds, facts: StudyFacts) -> str:
    return describe_seeds(seeds, facts.metric)
