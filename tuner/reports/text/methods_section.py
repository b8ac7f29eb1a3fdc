"""The methods section of a report, generated from the study's definition.

Every sentence is a fact of this study or a definition that its numbers rely on. This module escapes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ....trainers.spec import PATIENCE, TrainConfig
from ...study import Study
from ...trial import TrialResult
from ..answer import Answer
from .configuration import format_recipe, format_values
from .format import join_names, pluralize
from .scores import format_points


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Sentences under a heading."""

    heading: str
    sentences: tuple[str, ...]


def methods(subject: Answer) -> tuple[Passage, ...]:
    """Return what was trained, how it was chosen, how arms were compared, and how costs were counted."""
    return (
        Passage(heading="What was trained", sentences=tuple(_workload(subject.origin.study))),
        Passage(heading="How a configuration was chosen, and shown to the test set", sentences=_choice(subject)),
        Passage(heading="How arms were compared", sentences=tuple(_comparison(subject))),
        Passage(heading="How costs were counted", sentences=_costs(subject)),
    )


def _workload(study: Study) -> Iterable[str]:
    options = "".join(
        f"; {kind}: {format_values(found)}"
        for kind, found in (("data options", study.data.options), ("model options", study.model))
        if found
    )
    yield f"Application {study.application} on data {study.data.source}{options}."
    yield (
        f"{pluralize(study.epochs, 'epoch')} in every training, whatever its batch size: every training that "
        "runs to its end sees the same samples and takes the same floating-point operations."
    )
    others = [f"{arm.name} {arm.epochs}" for arm in study.arms if arm.epochs]
    if others:
        yield f"Except arms with epochs of their own, which are billed for them: {join_names(others)}."
    if recipe := format_recipe(study.recipe):
        yield f"Recipe of every training: {recipe}."
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
        f"Searches rank their trials by the {facts.metric} on the validation split after the last epoch. All search "
        f"trials train with seed {study.search_seed}; test data play no part in them.",
        f"The chosen configuration, and what a rule gives, is then trained anew with seeds {seeds}, none of which "
        "searched. Only these confirmation runs are evaluated on the test split, once each, after the last epoch: a "
        "score is the mean of fresh runs, not the best of the trials it was chosen from.",
        "A training is ended as diverged, and scores what guessing scores, if a loss, a score or a weight is not "
        f"finite, or if its loss is worse than the untrained model's by {TrainConfig.divergence_factor:g} times that "
        f"loss, at least by {TrainConfig.divergence_factor:g}, and still is {PATIENCE} updates later or after its last "
        "epoch. A failed one (an error of program or machine) has no score.",
        *_earlier_rule(subject.results),
    )


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
    yield (
        f"Arms are compared with {facts.reference} at the same batch size, run by run with the same seed: the verdict "
        "rests on Student's t interval (95%) of the mean difference of their test scores, paired by seed."
    )
    yield (
        f"The margin was part of the definition, and so fixed before the first trial: a loss of up to "
        f"{100 * (1 - facts.margin):.3g}% of the {comparison.tolerance_basis}'s mean test score{amount} still counts "
        "as a match."
    )
    yield (
        "Beats: the whole interval lies above 0. Matches (is not inferior): it lies above minus the margin. Falls "
        "short: it lies below that. Everything else is undecided, which is no evidence of equality."
    )
    yield (
        "Not the percentile bootstrap: with few seeds it is too sure of itself. On normal differences its nominal 95% "
        "interval holds the truth in 75% of the cases with 3 seeds, 84% with 5 and 90% with 10; the t interval in 95%."
    )
    yield (
        f"Of B0's: the mean score as a share of the baseline's at B0={facts.baseline_batch_size}, ticked where it "
        f"keeps {100 * facts.margin:.4g}% of it (LIMIT, Definition 2.1); it compares means and says nothing of their "
        "spread."
    )
    yield (
        f"K*: the fewest trials of {facts.reference}'s search whose expected best validation score reaches the arm's "
        'mean; ">N" where all N trials do not. Where trials are exchangeable (grid, random search) it is an unbiased '
        "estimate over all subsets of them (Tang et al., arXiv 2004.13705); of a search that learns, the best so far."
    )


def _costs(subject: Answer) -> tuple[str, ...]:
    is_tuned = subject.origin.study.baseline.tune is not None
    return (
        "A model's cost with an arm (epochs, device-seconds, FLOPs in the table): all search trials of that arm at "
        "that batch size plus one training of its choice, the mean of the confirmation runs. The other confirmation "
        "runs are evidence about the method, not part of tuning; they stand in the ledger.",
        "Everything that was started is billed: diverged, pruned, failed and repeated trainings, evaluation, set-up.",
        f"Saved: 1 - cost(arm) / cost({subject.comparison.facts.reference}) at the same batch size; in brackets where "
        "the arm is not shown to be as good, since that saving buys a worse or unknown model.",
        "Incl. baseline: the same with the whole search for the small-batch baseline billed to this one batch size"
        f"{'' if is_tuned else ' (here the baseline was stated, and its tuning was not part of the study)'}. Pays off "
        "after: the number of batch sizes over which that search has paid for itself.",
        "FLOPs: torch's operator count of one training step, a multiply-add as two, times the steps; device-seconds: "
        "wall-clock seconds during which a training held its device; modelled joules: 100 pJ an operation and 2,500 pJ "
        "a word moved, a model (DATE, Section 4.5), not a measurement. Measured joules, in the ledger, are what the "
        "devices' energy meters counted, where they have one.",
    )
