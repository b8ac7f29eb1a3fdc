"""The figures of a study, each a pure function of a comparison and its results.

`FIGURES` lists them. A figure's title states the finding, its axes have units, and every arm keeps its colour and
symbol. Scores of diverged runs are triangles at the edge of the axis, so that they do not squash the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...cost import CURRENCIES
from ...errors import BadInput
from ...trial import TrialResult
from .cost import cost_breakdown, has_bills
from .effort import best_of_k_curves
from .energy import energy
from .importance import has_importances, importance_figure
from .learning import has_epochs, learning_curves
from .parallel_coordinates import parallel_coordinates
from .pareto import pareto_arms, pareto_trials
from .scores import scores
from .search_curves import search_curves
from .searches import has_searches
from .slice_plot import slices
from .surface import has_surface, surface
from .time_to_target import has_times_to_target, time_to_target

Draw = Callable[[Comparison, Sequence[TrialResult], str], go.Figure]
"""(comparison, results, currency) -> figure."""

Applies = Callable[[Comparison, Sequence[TrialResult]], bool]
"""(comparison, results) -> whether there is anything to draw."""


def _always(comparison: Comparison, results: Sequence[TrialResult]) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class FigureSpec:
    """A figure, how to read it, and whether a study has what it shows. If not, it is omitted, not drawn empty."""

    reading: str
    draw: Draw
    applies: Applies = _always


FIGURES: dict[str, FigureSpec] = {
    "pareto_arms": FigureSpec(
        reading="Up and to the left is better. A filled marker is what a model costs with that arm: all its search "
        "trials at that batch size and one training. A hollow marker adds the search for the baseline that the arm "
        "rests on. Bars are 95% intervals over seeds; arms of the same cost are moved 5% apart. No arm is both "
        "cheaper and better than one on the line. Triangles are scores below the axis.",
        draw=pareto_arms,
    ),
    "pareto_trials": FigureSpec(
        reading="Each marker is one training: small ones were searching, large ones confirm a choice. The search's "
        "total is in the Pareto front over arms; here a lucky trial costs no more than an unlucky one. Triangles are "
        "scores or costs beyond the axes: diverged runs, mostly.",
        draw=pareto_trials,
    ),
    "scores": FigureSpec(
        reading="Means and 95% intervals over seeds, shifted sideways so that they do not overlap. The "
        "dashed line is the margin: what is worse no longer holds the baseline's score. Triangles are scores off "
        "the axis.",
        draw=scores,
    ),
    "search_curves": FigureSpec(
        reading="A line is a search; it rises when a better configuration is found. A marker is one training with an "
        "arm that does not search, and its dotted line shows when a search reaches the same score.",
        draw=search_curves,
    ),
    "best_of_k": FigureSpec(
        reading="A curve is what the best of k trials scores on average, drawn without order from all that were run "
        "(Tang et al., arXiv 2004.13705, Eq. 3). It is paler beyond a fifth of the trials, where bootstrap intervals "
        "of it are too narrow. That takes trials for exchangeable, as those of grid and random search are. Of a "
        "search that learns (dashed steps) it is the best so far, averaged over its repeats: with a single search a "
        "description of what was run, and no estimate. A dotted line is the mean of an arm that needs no search; a "
        "star marks K*, the fewest trials with which the reference reaches it.",
        draw=best_of_k_curves,
        applies=has_searches,
    ),
    "learning_curves": FigureSpec(
        reading="A line is the mean over seeds, the band goes from the lowest to the highest. Runs that diverged are "
        "in neither: triangles mark the epoch at which they ended. What lies below the axis is early training.",
        draw=learning_curves,
        applies=has_epochs,
    ),
    "time_to_target": FigureSpec(
        reading="A marker is a run: the clock's seconds from its first update until its validation score is as good as "
        "the baseline's mean after its last epoch, less the margin; of a run in a pack, its part of the pack's. A line "
        "joins medians; a run that never gets there has no marker, and counts as slower than all in its median. Lower "
        "is better (DATE, Fig. 2). The tuning that found an arm's values is not in these seconds.",
        draw=time_to_target,
        applies=has_times_to_target,
    ),
    "slices": FigureSpec(
        reading="A marker is a search trial; the others of its hyperparameters vary too, so a column of markers is a "
        "spread and not an error. Thin lines are the ends of the range, a dotted line and a ring the chosen value: "
        "where they meet, a better value may lie outside. Trials without a final score (failed, pruned) are left out. "
        "Triangles are scores off the axis, diverged runs mostly.",
        draw=slices,
        applies=has_searches,
    ),
    "parallel_coordinates": FigureSpec(
        reading="A line is a search trial; follow the bright ones to see which values go together with a good score. "
        "The right-hand axis is the score. Grey lines end in a triangle: scores off the axis, diverged runs mostly.",
        draw=parallel_coordinates,
        applies=has_searches,
    ),
    "importances": FigureSpec(
        reading="PED-ANOVA (arXiv 2304.10255, by Optuna) measures how far the values of the best trials (a tenth, "
        "at least five) are from those of all trials of that search, for each hyperparameter by itself. The shares "
        "of a search add up to 100% even where nothing had an effect: a hollow marker is one that shuffled scores "
        "match in more than 5% of cases, and says nothing; where nothing has an effect, one in twenty is filled by "
        "chance. Bars are 95% percentile intervals over resampled trials; with fewer than about 50 trials they are "
        "wide, and the order of the shares is not to be relied on.",
        draw=importance_figure,
        applies=has_importances,
    ),
    "surface": FigureSpec(
        reading="A square is a trial of the grid. The wider the bright region, the less the choice matters. Grey "
        "squares with a cross diverged; the framed one was chosen. LIMIT (arXiv 2006.08517) Fig. 2 and LARS (arXiv "
        "1708.03888) Fig. 4 are such surfaces.",
        draw=surface,
        applies=has_surface,
    ),
    "cost_breakdown": FigureSpec(
        reading="Search and one training are what a model costs with an arm. The search for the baseline is one search "
        "that serves every batch size and every arm that rests on it, so it stands in full in each of their bars. "
        "Further confirmation runs and repeats of a search are evidence for this study and no cost of tuning.",
        draw=cost_breakdown,
        applies=has_bills,
    ),
    "energy": FigureSpec(
        reading="The model is DATE's (Section 4.5, Fig. 19): it counts operations, and words as parameters times "
        "updates, as if every update exchanged the gradients once with a neighbouring node; no such exchange takes "
        "place on one machine. At the same epochs a larger batch computes as much and communicates less. To a model: "
        "all search trials of the arm at that batch size and one training; hollow markers are communication alone. "
        "Measured joules are what a device's meter counted (RAPL: processor packages; NVML: the GPU's board), shared "
        "equally among the trials that ran beside each other, idle cores and whatever else ran included.",
        draw=energy,
        applies=has_bills,
    ),
}


def applicable_figures(comparison: Comparison, results: Sequence[TrialResult]) -> list[str]:
    """Return the names of the figures that apply to a study, in the order of `FIGURES`."""
    return [name for name, report in FIGURES.items() if report.applies(comparison, results)]


def draw_figure(name: str, comparison: Comparison, results: Sequence[TrialResult], cost: str) -> go.Figure:
    """Draw a figure that applies, by its name in `FIGURES`. `cost` is the currency of its cost axis.

    Raises:
        BadInput: there is no such currency.
    """
    if cost not in CURRENCIES:
        raise BadInput(f"unknown cost axis {cost!r}: choose one of {', '.join(CURRENCIES)}")
    return FIGURES[name].draw(comparison, results, cost)
