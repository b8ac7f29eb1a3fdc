"""The figures of a study, each a pure function of a comparison and its results.

`FIGURES` lists them. A figure's title states the finding, its axes have units, and every arm keeps its colour and
symbol. Seeds are points, lost ones crosses; scores off the axis are marked at its edge, so that they do not squash the
others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ...analysis.comparison import Comparison
from ...cost import CURRENCIES
from ...errors import BadInput
from ...trial import TrialResult
from .contours import contours, has_contours
from .cost import cost_breakdown, has_bills
from .effort import best_of_k_curves
from .energy import energy, has_energy
from .importance import has_importances, importance_figure
from .learning import has_epochs, learning_curves
from .parallel_coordinates import parallel_coordinates
from .pareto import pareto_arms, pareto_trials
from .scores import scores
from .search_curves import search_curves
from .search_front import has_search_fronts, search_front
from .searches import has_searches
from .slice_plot import slices
from .surface import has_surface, surface
from .time_to_target import has_times_to_target, time_to_target
from .tuning_budget import has_savings, tuning_budget

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
        reading="Up and to the left is better. Small markers are seeds, a cross is a lost one, a large marker is the "
        "median of the sound ones, at what a model costs with that arm: all its search trials at that batch size, or "
        "one training without a search. A hollow marker adds the search for the baseline that the arm rests on. Arms "
        "of the same cost are moved 5% apart. Of the arms without a lost seed, none is both cheaper and better in its "
        "median than one on the line. Triangles and crosses at the edge are scores off the axis.",
        draw=pareto_arms,
    ),
    "pareto_trials": FigureSpec(
        reading="Each marker is one training: small ones were searching, large ones confirm a choice. The search's "
        "total is in the Pareto front over arms; here a lucky trial costs no more than an unlucky one. Crosses "
        "are lost seeds. Triangles are scores off the axis: diverged runs, mostly. What stands at the end of the axis "
        "may have cost more or less.",
        draw=pareto_trials,
    ),
    "search_front": FigureSpec(
        reading="A marker is a search trial: its cost, of the kind that its search lowers, and its validation score. "
        "The line is the front: no finished trial is both cheaper and better. The choice, ringed, is the cheapest on "
        "the better side of the dashed line, the margin of the best score. Diverged, pruned and failed trials stand at "
        "the edge, at what they cost before they ended, and have no place on the front. Each marker is one training, "
        "so that a part of every difference is luck.",
        draw=search_front,
        applies=has_search_fronts,
    ),
    "scores": FigureSpec(
        reading="A row is an arm and a marker a seed, moved a little up or down so that equal scores do not overlap. "
        "A cross is a lost seed: it diverged, failed, or ended nearer to guessing than to the baseline. The thick "
        "line is the median of the sound seeds. Dashed is the margin: what is worse no longer holds the baseline's "
        "score. Dotted is the median of the reference. Markers at the bad end are scores off the axis; beside "
        "them stands the score, or of how many seeds.",
        draw=scores,
    ),
    "search_curves": FigureSpec(
        reading="A line is a search; it rises when a better configuration is found. Small markers are the "
        "seeds of an arm that does not search, crosses lost ones; the large one is the median of the sound, and its "
        "dotted line shows when a search reaches the same score.",
        draw=search_curves,
    ),
    "best_of_k": FigureSpec(
        reading="A curve is what the best of k trials scores on average, drawn without order from all that were run "
        "(Tang et al., arXiv 2004.13705, Eq. 3), less the luck of the best where the noise between seeds is known. "
        "It is paler beyond a fifth of the trials, where bootstrap intervals of it are too narrow. That takes trials "
        "for exchangeable, as those of grid, random and Sobol search are. Of a search that learns (dashed steps) it is "
        "the best so far, averaged over its repeats, luck included: with a single search a description of what was "
        "run, and no estimate. A dotted line is the mean of the sound seeds of an arm "
        "that needs no search; a star marks K*, the fewest trials with which the reference reaches it. An arm that "
        "lost a seed has none.",
        draw=best_of_k_curves,
        applies=has_searches,
    ),
    "learning_curves": FigureSpec(
        reading="A thin line is a seed, the thick one the median of the sound seeds. A lost seed is dotted, a cross "
        "marks where it ended. What lies off the axis is early training.",
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
        "where they meet, a better value may lie outside. Triangles at the edge are scores off the axis, diverged runs "
        "mostly; thin marks there are trials without a final score, pruned or failed.",
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
        reading="PED-ANOVA (arXiv 2304.10255, by Optuna) measures how far the values of the best trials (a quarter, "
        "at least five) are from those of all trials of that search, for each hyperparameter by itself; where the "
        "solver is searched too, within each solver. Pruned trials are none of the best, failed ones are left out, and "
        "several seeds of a configuration are one trial with their mean score. The shares "
        "of a search add up to 100% even where nothing had an effect: a hollow marker is one that shuffled scores "
        "match in more than 5% of cases, and says nothing; where nothing has an effect, one in twenty is filled by "
        "chance. Bars are 95% percentile intervals over resampled trials; with fewer than about 50 trials they are "
        "wide, and the order of the shares is not to be relied on: in simulated searches of ten trials the "
        "hyperparameter that decides ranked first in six of ten (benchmarks/importances.py).",
        draw=importance_figure,
        applies=has_importances,
    ),
    "contours": FigureSpec(
        reading="A marker is a search trial and its colour the validation score, over the two hyperparameters of its "
        "search with the largest importances, the larger one across. Behind the markers is the mean score of the "
        "trials nearby (Gaussian weights with Scott's bandwidth), and nothing where no trial is near. The other "
        "hyperparameters vary too, so that neighbours may differ. A cross diverged, a ring without a colour was "
        "pruned, a plus failed, and neither counts in the mean.",
        draw=contours,
        applies=has_contours,
    ),
    "surface": FigureSpec(
        reading="A square is a trial of the grid. The wider the bright region, the less the choice matters. Grey "
        "squares with a cross diverged; the framed one was chosen. LIMIT (arXiv 2006.08517) Fig. 2 and LARS (arXiv "
        "1708.03888) Fig. 4 are such surfaces.",
        draw=surface,
        applies=has_surface,
    ),
    "cost_breakdown": FigureSpec(
        reading="A model costs the search with an arm that searches, the best trial of which is the model, and one "
        "training with any other. The search for the baseline is one search that serves every batch size and every "
        "arm that rests on it, so it stands in full in each of their bars. Further confirmation runs and repeats of a "
        "search are evidence for this study and no cost of tuning.",
        draw=cost_breakdown,
        applies=has_bills,
    ),
    "tuning_budget": FigureSpec(
        reading="A curve is what an arm saves against the best of k trials of the reference's search, for every k up "
        "to the number that the study gave it: the author chose that number, and the saving grows with it. A k on "
        "the left is a small budget, which the arm hardly undercuts; a star is K*, the budget that on average does "
        "as well as the arm. The dotted curve also bills the search for the arm's baseline to this batch size. "
        "Trials without a score are billed to the others. Arms whose verdict allows no saving have no curve, and "
        "none goes on past the trials that were run: what more would find is not known.",
        draw=tuning_budget,
        applies=has_savings,
    ),
    "energy": FigureSpec(
        reading="The model is DATE's (Section 4.5, Fig. 19): it counts operations, and words as parameters times "
        "updates, as if every update exchanged the gradients once with a neighbouring node; no such exchange takes "
        "place on one machine. At the same epochs a larger batch computes as much and communicates less. To a model: "
        "all search trials of the arm at that batch size, or one training; hollow markers are communication alone. "
        "Measured joules are what a device's meter counted (RAPL: processor packages; NVML: the GPU's board), shared "
        "equally among the trials that ran beside each other, idle cores and whatever else ran included.",
        draw=energy,
        applies=has_energy,
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
    if cost in comparison.unknown:
        known = [name for name in CURRENCIES if name not in comparison.unknown]
        raise BadInput(
            f"cost axis {cost!r}: the table of past trainings does not state it: choose one of {', '.join(known)}"
        )
    return FIGURES[name].draw(comparison, results, cost)
