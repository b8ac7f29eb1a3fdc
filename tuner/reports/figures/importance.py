"""The importances: which hyperparameters separate the best trials of a search from the others."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...analysis.study_facts import StudyFacts
from ...search.importance import Importance
from ...trial import TrialResult
from ..text.format import pluralize
from .hyperparameters import param_names
from .ranked_searches import RankedSearch, ranked_searches
from .searches import Search
from .style import (
    apply_style,
    arm_styles,
    escape,
    legend_entry,
    make_panels,
    marker_trace,
    num_rows,
    panel_place,
)

SIGNIFICANT = 0.05
"""If shuffled scores reach an importance more often than this, it is indistinguishable from chance."""
_ROW_HEIGHT = 46
_SPREAD = 0.6

Importances = Mapping[Search, Mapping[str, Importance]]


def has_importances(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    """Return whether a search over two or more hyperparameters has enough trials."""
    return bool(ranked_searches(comparison.facts, results))


def study_importances(ranked: Mapping[Search, RankedSearch], *, higher_is_better: bool) -> Importances:
    """Return the importances of every search that has enough trials."""
    return {search: one.importances(higher_is_better=higher_is_better) for search, one in ranked.items()}


def importance_figure(comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a marker with its interval for each search and hyperparameter, hollow if it may be chance.

    The cost is ignored.
    """
    facts = comparison.facts
    ranked = ranked_searches(facts, results)
    found = study_importances(ranked, higher_is_better=facts.higher_is_better)
    names = param_names(dict.fromkeys(shares, 0.0) for shares in found.values())
    sizes = [size for size in facts.batch_sizes if any(search[1] == size for search in found)]
    arms = [arm for arm in facts.arms if any(search[0] == arm for search in found)]
    figure = make_panels([f"B={size:,}" for size in sizes], spacing=0.05)
    styles = arm_styles(facts.arms)
    entries = [marker_trace([None], [None], styles[arm], name=escape(arm), group=escape(arm)) for arm in arms]
    figure.add_traces([*entries, legend_entry("may be chance", "circle-open")], rows=1, cols=1)
    for (arm, size), shares in found.items():
        shift = _SPREAD * (arms.index(arm) - (len(arms) - 1) / 2) / len(arms)
        trace = _trace(facts, arm, shares, [names.index(name) + shift for name in shares])
        figure.add_trace(trace, **panel_place(sizes.index(size)))
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", title_text="share of the importance")
    # Reversed, so that the first name is at the top.
    figure.update_yaxes(
        range=[len(names) - 0.4, -0.6], tickvals=list(range(len(names))), ticktext=[escape(name) for name in names]
    )
    figure.update_yaxes(title_text="hyperparameter", col=1)
    apply_style(
        figure,
        title=_finding(found),
        subtitle=f"{facts.name}: importance by PED-ANOVA over {_numbers(ranked)} a search, and its 95% interval over "
        "resampled ones; hollow: may be chance",
        panels_height=num_rows(len(sizes)) * (90 + _ROW_HEIGHT * len(names) * max(1.0, len(arms) / 2)),
    )
    return figure


def _numbers(ranked: Mapping[Search, RankedSearch]) -> str:
    """Return how many configurations the searches tried, such as "12 to 24 configurations"."""
    numbers = sorted({len(one.params) for one in ranked.values()})
    few, many = numbers[0], numbers[-1]
    return pluralize(few, "configuration") if few == many else f"{few:,} to {many:,} configurations"


def _finding(found: Importances) -> str:
    """Return the headline: the hyperparameters that chance does not explain, and in how many searches."""
    counts: dict[str, int] = {}
    for shares in found.values():
        for name, importance in shares.items():
            counts[name] = counts.get(name, 0) + (importance.chance <= SIGNIFICANT)
    notable = sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])
    of = f"of {pluralize(len(found), 'search')}"
    if not notable:
        return f"No hyperparameter separates the best trials from the others, in any {of}"
    parts = ", ".join(f"{name} in {counts[name]}" for name in notable)
    return f"What separates the best trials from the others, {of}: {parts}"


def _trace(facts: StudyFacts, arm: str, shares: Mapping[str, Importance], heights: Sequence[float]) -> go.Scatter:
    style, learned = arm_styles(facts.arms)[arm], arm in facts.learned_arms
    values = list(shares.values())
    hovers = [
        escape(f"{arm}, {name}: {value.share:.0%} ({value.low:.0%} to {value.high:.0%})")
        + f"<br>shuffled scores do as much in {value.chance:.0%} of cases"
        + ("<br>the search learns: its trials may crowd where it expects good ones" if learned else "")
        for name, value in shares.items()
    ]
    error_bars = {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, value.high - value.share) for value in values],
        "arrayminus": [max(0.0, value.share - value.low) for value in values],
        "color": style.colour,
        "thickness": 1.2,
        "width": 3,
    }
    symbols = [style.symbol if value.chance <= SIGNIFICANT else f"{style.symbol}-open" for value in values]
    trace = marker_trace([value.share for value in values], heights, style, hovers, group=escape(arm))
    return trace.update(error_x=error_bars, marker_symbol=symbols)
