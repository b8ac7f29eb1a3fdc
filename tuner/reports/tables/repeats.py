"""The table of repeated searches: what each of them chose, and what its choice scores."""

from statistics import fmean

from ...analysis.comparison_row import ComparisonRow
from ...analysis.search_outcomes import SearchOutcome
from ..answer import Answer
from ..text.configuration import format_values
from ..text.scores import format_score
from ..text.seeds import format_lost, format_seeds
from .result_tables import Cells, Table, grouped


def repeats_table(subject: Answer) -> Table:
    """Return what every search of the arms that repeat theirs chose and scores; empty if no arm does."""
    metric = subject.comparison.facts.metric
    cells = [
        _search_row(row, one, metric)
        for row in subject.comparison.rows
        if len(row.searches) > 1
        for one in row.searches
    ]
    return Table(
        caption="Every search of the arms that repeat theirs, with other proposals and another seed each time: what it "
        f"chose, the chosen trial's validation {metric}, and the test {metric} of that choice by seed and on average "
        "over its sound seeds.",
        columns=(
            "batch size",
            "arm",
            "search",
            "trials",
            "chosen",
            f"validation {metric}",
            f"test {metric} by seed",
            "mean",
            "lost",
        ),
        groups=grouped(cells),
        words=frozenset({1, 4, 6}),
    )


def _search_row(row: ComparisonRow, one: SearchOutcome, metric: str) -> Cells:
    scores = one.seeds.scores.values()
    return (
        f"{row.batch_size:,}",
        row.arm,
        f"{one.repeat + 1}",
        f"{one.cost.trials:,}",
        format_values(one.params) or "-",
        "-" if one.validation_score is None else format_score(one.validation_score, metric),
        format_seeds(one.seeds, metric) or "none yet",
        format_score(fmean(scores), metric) if scores else "-",
        format_lost(one.seeds) if len(one.seeds) else "",
    )
