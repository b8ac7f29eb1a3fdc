"""How many trials a search made, and how often it was repeated, as text."""

from ...analysis.comparison_row import ComparisonRow
from .format import pluralize


def format_search_trials(row: ComparisonRow) -> str:
    """Format the trials of a row's first search for a table, after how many searches there were if several."""
    repeated = f"{len(row.searches)} x " if len(row.searches) > 1 else ""
    return f"{repeated}{row.search.trials:,}"


def count_search_trials(row: ComparisonRow) -> str:
    """Format the trials of a row's first search for a sentence: "12 trials", or "5 x 12 trials" of several searches."""
    repeated = f"{len(row.searches)} x " if len(row.searches) > 1 else ""
    return f"{repeated}{pluralize(row.search.trials, 'trial')}"
