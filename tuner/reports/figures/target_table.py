"""Seconds to the baseline's score as a table (DATE, Fig. 2): one record an arm and batch size, the baseline's first."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from ...analysis.comparison import Comparison
from ...analysis.time_to_target import speed_up, target_score, times_to_target
from ...trial import TrialResult


def target_records(comparison: Comparison, results: Sequence[TrialResult]) -> list[dict[str, Any]]:
    """What the figure `time_to_target` shows, and how many times as fast as the baseline that is.

    Medians count runs that never reach the target as slower than all. No record where the baseline has no score.
    """
    facts = comparison.facts
    target, times = target_score(results, facts), times_to_target(results, facts)
    return [
        {
            "study": facts.name,
            "arm": time.arm,
            "batch_size": time.batch_size,
            "metric": facts.metric,
            "target": target,
            "runs": time.num_runs,
            "reached": len(time.seconds),
            "median_seconds": time.median_seconds,
            "speed_up": speed_up(times, time),
            "fewest_seconds": min(time.seconds, default=None),
            "most_seconds": max(time.seconds, default=None),
            "median_epochs_of_those": median(time.epochs) if time.epochs else None,
        }
        for time in times
    ]
