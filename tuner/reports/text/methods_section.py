"""The methods section of a report, generated from the study's definition.

Every sentence is a fact of this study or a definition that its numbers rely on. This module escapes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ....trainers.spec import PATIENCE, TrainConfig
from ...analysis.lost_seeds import HARDLY_LEARNED
from ...analysis.study_facts import StudyFacts
from ...analysis.verdict import LEVEL, LIKELY_LEVEL
from ...study import Study
from ...study.configure import RECIPE_NAMES
from ...study.methods import COMPREHENSIVE
from ...study.searched import chosen_model_options, chosen_names
from ...trial import TrialResult
from ..answer import Answer
from .carrying import carrying_methods
from .configuration import format_recipe, format_values
from .costs import cost_unit
from .format import join_names, pluralize
from .scores import format_points, format_score
from .search_fronts import format_tolerance


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Sentences under a heading."""

    heading: str
    sentences: tuple[str, ...]


def methods(subject: Answer) -> tuple[Passage, ...]:
    """Return what was trained, how it was chosen, how arms were compared, and how costs were counted."""
    return (
        Passage(
            heading="What was trained", sentences=tuple(_workload(subject.origin.study, subject.comparison.tabulated))
        ),
        Passage(heading="How a configuration was chosen, and shown to the test set", sentences=_choice(subject)),
        Passage(heading="How arms were compared", sentences=tuple(_comparison(subject))),
        Passage(heading="How costs were counted", sentences=_costs(subject)),
    )


def _workload(study: Study, tabulated: bool) -> Iterable[str]:
    options = "".join(
        f"; {kind}: {format_values(found)}"
        for kind, found in (("data options", study.data.options), ("model options", study.model))
        if found
    )
    yield f"Application {study.application} on data {study.data.source}{options}."
    if tabulated:
        yield (
            f"Nothing was trained: the results are those of past trainings of {pluralize(study.epochs, 'epoch')}, "
            "which a table holds by configuration and seed. What it has no training of has failed."
        )
        return
    varied, epochs = chosen_model_options(study), pluralize(study.epochs, "epoch")
    operations = "" if varied else " and takes the same floating-point operations"
    yield (
        f"{epochs} in every training, whatever its batch size: every training that runs to its end sees the same "
        f"samples{operations}."
    )
    if varied:
        yield f"Arms choose {join_names(varied)}: the floating-point operations of a training are those of its model."
    others = [f"{arm.name} {arm.epochs}" for arm in study.arms if arm.epochs]
    if others:
        yield f"Except arms with epochs of their own, which are billed for them: {join_names(others)}."
    if recipe := format_recipe(study.recipe):
        chosen = " where none is chosen" if set(RECIPE_NAMES) & set(chosen_names(study)) else ""
        yield f"Recipe of every training{chosen}: {recipe}."
    resources = study.resources
    devices = f" and {resources.gpus_per_trial:g} of a GPU" if resources.gpus_per_trial else ""
    num_workers = resources.workers_per_trial
    who = (
        "A training had" if num_workers == 1 else f"A training had {num_workers} workers that shared every batch, each"
    )
    yield f"{who} {pluralize(resources.cpus_per_trial, 'CPU thread')}{devices}."


def _choice(subject: Answer) -> tuple[str, ...]:
    study, facts = subject.origin.study, subject.comparison.facts
    seeds = ", ".join(map(str, study.seeds))
    return (
        f"Searches rank their trials by the {facts.metric} on the validation split after the last epoch. "
        f"{_search_seeds(study)}; test data play no part in them.",
        *_thrift(facts),
        f"The chosen configuration, and what a rule gives, is then trained anew with seeds {seeds}, none of which "
        "searched. Only these confirmation runs are evaluated on the test split, once each, after the last epoch: a "
        "score is the mean of fresh runs, not the best of the trials it was chosen from.",
        "A training is ended as diverged, and scores what guessing scores, if a loss, a score or a weight is not "
        f"finite, or if its loss is worse than the untrained model's by {TrainConfig.divergence_factor:g} times that "
        f"loss, at least by {TrainConfig.divergence_factor:g}, and still is {PATIENCE} updates later or after its last "
        "epoch. A failed one (an error of program or machine) has no score.",
        *carrying_methods(study),
        *_earlier_rule(subject.results),
    )


def _thrift(facts: StudyFacts) -> Iterable[str]:
    for arm, economy in facts.economies.items():
        yield (
            f"{arm} searches the Pareto front of that score and of {cost_unit(economy.currency, []).label} instead: "
            "its choice is the cheapest finished trial whose score is not worse than its best by more than "
            f"{format_tolerance(economy.margin)}."
        )


def _search_seeds(study: Study) -> str:
    """Say what seed search trials train with, and which have seeds of their own."""
    races = any(arm.method == COMPREHENSIVE for arm in study.arms)
    repeats = any(arm.repeats > 1 for arm in study.arms)
    own = [*(["those of a race with further ones"] if races else []), *(["repeats with their own"] if repeats else [])]
    if not own:
        return f"All search trials train with seed {study.search_seed}"
    return f"Search trials train with seed {study.search_seed}, {join_names(own)}"


def _earlier_rule(results: Iterable[TrialResult]) -> Iterable[str]:
    if any(result.status == "diverged" and result.divergence is None for result in results):
        yield (
            "Trainings that an earlier version recorded as diverged were judged by its rule: a loss that is not finite "
            f"or above {TrainConfig.divergence_factor:g} times that of the first epoch."
        )


def _comparison(subject: Answer) -> Iterable[str]:
    comparison, facts = subject.comparison, subject.comparison.facts
    tolerances = [row.verdict.tolerance for row in comparison.rows if row.verdict]
    amount = f" ({format_points(tolerances[0], facts.metric, signed=False)})" if tolerances else ""
    if comparison.tolerance_basis == "reference":
        amount = ""
    guess = comparison.yardstick.guessing.score
    if guess is not None:
        yield (
            f"Guessing scores {format_score(guess, facts.metric)}. Nothing is judged where the baseline's or "
            f"{facts.reference}'s median seed is no better than that by {HARDLY_LEARNED:.0%} of the way to a perfect "
            "score, where the metric has one, or where most of their seeds are lost."
        )
    yield (
        "A confirmation run is lost if it diverged, failed, or ended nearer to the score of guessing than to the "
        "baseline's. One lost seed makes an arm unreliable. Of n seeds without a lost one, the true rate may still be "
        "as high as 1 - 0.05^(1/n) (one-sided 95%); with lost ones the interval is Clopper and Pearson's."
    )
    yield from _repeats(facts)
    yield (
        f"Sound seeds are compared with {facts.reference} at the same batch size, run by run with the same seed: "
        "Student's t on the differences of their test scores, and from five pairs on an exact sign test that must "
        "agree. The spread of a difference is at least that of drawing the test split anew, since equal scores may be "
        "a coincidence."
    )
    yield (
        f"The margin was part of the definition, and so fixed before the first trial: a mean loss of up to "
        f"{100 * (1 - facts.margin):.3g}% of the {comparison.tolerance_basis}'s mean test score{amount} is tolerated."
    )
    share = f"so that at most {LEVEL:.0%} of studies have a false one"
    certainty = f"at a one-sided level of {LEVEL / 2:g} each" if facts.is_amended else share
    yield (
        f"Yes: not worse than tolerated. Worse: below the reference, and not within what is tolerated. Both count all "
        f"comparisons of the study by Holm's procedure, {certainty}. Yes, "
        f"but: not worse than tolerated at a one-sided level of {LIKELY_LEVEL:g} of this comparison alone, or the "
        "reference lost a seed. Batch too large: neither the arm nor the reference keeps the margin of the baseline's "
        "score, at the same level. Not shown is no evidence of equality."
    )
    yield (
        "Not the percentile bootstrap: with few seeds it is too sure of itself. On normal differences its nominal 95% "
        "interval holds the truth in 75% of the cases with 3 seeds, 84% with 5 and 90% with 10; the t interval in 95%."
    )
    yield (
        f"Of B0's: the mean score as a share of the baseline's at B0={facts.baseline_batch_size:,}, ticked where no "
        f"seed is lost and it keeps {100 * facts.margin:.4g}% of it (LIMIT, Definition 2.1); it says nothing of "
        "the spread."
    )
    yield (
        f"K*: the fewest trials of {facts.reference}'s search whose expected best validation score reaches the arm's "
        'mean; ">N" where all N trials do not. Where trials are exchangeable (grid, random and Sobol search) it is an '
        "unbiased estimate over all subsets of them (Tang et al., arXiv 2004.13705), less the luck of the best: a "
        "trial is trained once, and the best of k is partly the luckiest. The true scores are taken for those that "
        "give the observed ones on average with independent normal noise added, whose standard deviation is that of "
        "validation scores over sound seeds (the median configuration of the batch size). In simulations two thirds "
        "of the luck go (benchmarks/luck.py). Where no configuration has two sound seeds the luck is left in. Of a "
        "search that learns, K* is read off the best so far, luck included."
    )


def _repeats(facts: StudyFacts) -> Iterable[str]:
    """Say what repeated searches change in the comparison, if there are any."""
    if not facts.repeats:
        return
    runs = join_names([f"{arm} {number} times" for arm, number in facts.repeats.items()])
    yield (
        f"Searches were repeated ({runs}), with other proposals and another seed, and each confirmed its choice with "
        "the same seeds. A score is then the mean over choices and seeds. The half-width of an interval is the root of "
        "the sum of two squares: that of Student's t on the seeds, each the mean over the choices, and that of "
        "Student's t on the choices' means (Banerjee 1960), so that it is never narrower than by seeds alone. It holds "
        "the truth in at least its nominal share of cases (benchmarks/verdicts.py). Of a lost seed's rate, a search "
        "counts as one observation: the share of its seeds that it lost."
    )


def _costs(subject: Answer) -> tuple[str, ...]:
    is_tuned = subject.origin.study.baseline.tune is not None
    seconds = cost_unit("device_seconds", [], tabulated=subject.comparison.tabulated).label
    measures = (
        "Tabulated seconds: what the table states for a training, on the machine that it was trained on; between two "
        "trainings of the table they are interpolated as scores are. What the table does not state is not known."
        if subject.comparison.tabulated
        else "FLOPs: torch's operator count of one training step, a multiply-add as two, times the steps; "
        "device-seconds: wall-clock seconds during which a training held its device; modelled joules: 100 pJ an "
        "operation and 2,500 pJ a word moved, a model (DATE, Section 4.5), not a measurement. Measured joules, in the "
        "ledger, are what the devices' energy meters counted, where they have one."
    )
    further = "Further confirmation runs are evidence about the method, not part of tuning; they stand in the ledger."
    if subject.comparison.facts.repeats:
        further = (
            "Of repeated searches one is billed, their mean. The others, and further confirmation runs, are evidence "
            "about the method, not part of tuning; they stand in the ledger."
        )
    return (
        f"A model's cost with an arm (epochs, {seconds}, FLOPs in the table): of a search all its trials at that "
        "batch size, the best of which is the model; of a rule one training, the mean of its confirmation runs"
        f"{', of a guarded one its probes too' if subject.comparison.facts.guarded_arms else ''}. {further}",
        "Everything that was started is billed: diverged, pruned, failed and repeated trainings, evaluation, set-up.",
        f"Saved: 1 - cost(arm) / cost({subject.comparison.facts.reference}) at the same batch size, where the "
        "verdict is a yes: otherwise a saving would buy a worse or unknown model. None is claimed where more than half "
        "of that search's trials were useless.",
        "Incl. baseline: the same with the whole search for the small-batch baseline billed to this one batch size"
        f"{'' if is_tuned else ' (here the baseline was stated, and its tuning was not part of the study)'}. Pays off "
        "after: the number of batch sizes over which that search has paid for itself.",
        measures,
    )
