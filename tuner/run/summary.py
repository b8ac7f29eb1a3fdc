"""What the first screen of MLflow shows: the answer as metrics and tags of the study's run and of the arms' runs."""

from collections.abc import Collection, Mapping
from dataclasses import asdict

from ..analysis.amendments import read_amendments
from ..analysis.comparison import Comparison
from ..analysis.comparison_row import ComparisonRow
from ..cost import CURRENCIES, Cost
from ..reports.answer import Answer
from ..reports.text.amendments import amendment_line
from ..reports.text.format import pluralize
from ..reports.text.verdict import judged_arms, study_line, study_word
from ..store.record import TAG_TABULATED

TAG_VERDICT = "verdict"
TAG_AMENDED = "amended"
"""Tag of the study's run: when it was amended, after how many results, and what was added."""
TAG_GUARDED = "guarded"
"""Tag of a guarded arm's run: how many probes it took at its batch size."""
TAG_OF = "numbers_of"
"""Tag of the study's run: the arm and batch size that its metrics are of."""


def _nothing_spared(comparison: Comparison) -> dict[str, float]:
    """Return the metrics of an arm that spares nothing.

    MLflow deletes no metric, so they overwrite what an earlier verdict allowed.
    """
    currencies = [name for name in CURRENCIES if name not in comparison.unknown]
    saved = {f"{name}/{currency}": 0.0 for name in ("saved", "saved_with_baseline") for currency in currencies}
    return {"skip_tuning": 0.0, "trainings_spared": 0.0, **saved}


def spent_metrics(cost: Cost, unknown: Collection[str] = ()) -> Mapping[str, float]:
    """Return the cost of all trials of an arm at a batch size, as metrics of its parent run, without unknown ones."""
    amounts = {**asdict(cost), "modelled_joules": cost.modelled_joules}
    known = {name: amount for name, amount in amounts.items() if amount is not None and name not in unknown}
    return {f"spent/{name}": float(amount) for name, amount in known.items()}


def summary_metrics(comparison: Comparison, row: ComparisonRow) -> Mapping[str, float]:
    """Return the values of a comparison row as metrics of the arm's parent run; `test_score` is the median.

    `skip_tuning` is 1 for a yes, 0.5 for a less certain one and 0 for every other verdict; `trainings_spared` and
    `saved/...` are 0 where the verdict allows no saving. All are absent without a verdict.
    """
    figures = {
        "search_trials": float(row.search.trials),
        "seeds": float(row.num_seeds),
        "lost_seeds": float(len(row.seeds.lost)),
    }
    if len(row.searches) > 1:
        figures["searches"] = float(len(row.searches))
    if row.seeds.median is not None:
        figures["test_score"] = row.seeds.median
    if row.bill is not None:
        figures["trainings_needed"] = row.bill["trials"]
        figures |= {f"cost_to_a_model/{name}": row.bill[name] for name in row.bill.keys() - comparison.unknown}
    if (usable := row.cost_per_usable_model) is not None:
        figures |= {f"cost_per_usable_model/{name}": usable[name] for name in usable.keys() - comparison.unknown}
    if row.verdict is not None:
        figures |= _nothing_spared(comparison)
        figures["skip_tuning"] = {"yes": 1.0, "yes, but": 0.5}.get(row.verdict.kind, 0.0)
        figures["trainings_spared"] = trainings_spared(comparison, row)
    for search in comparison.searches:
        if (search.arm, search.batch_size) == (row.arm, row.batch_size):
            figures["useless_trials"] = float(search.num_useless)
            figures["trials_not_spent"] = float(search.num_left)
    for currency, saved in row.savings.items():
        figures[f"saved/{currency}"] = saved.share
        figures[f"saved_with_baseline/{currency}"] = saved.share_with_baseline
    return figures


def summary_tags(comparison: Comparison, row: ComparisonRow) -> Mapping[str, str]:
    """Return the verdict of a row as a tag of the arm's parent run."""
    if row.arm == comparison.facts.reference:
        return {TAG_VERDICT: "reference"}
    if row.verdict is None:
        return {TAG_VERDICT: "baseline"}
    guarded = {TAG_GUARDED: pluralize(row.search.trials, "probe")} if row.guarded else {}
    return {TAG_VERDICT: row.verdict.kind, **guarded}


def trainings_spared(comparison: Comparison, row: ComparisonRow) -> float:
    """Return how many trainings fewer than the reference's an arm takes; 0 where no saving is claimed."""
    reference = comparison.row(comparison.facts.reference, row.batch_size)
    is_claimed = row.spares_tuning and comparison.mostly_useless_reference(row.batch_size) is None
    if not is_claimed or row.bill is None or reference.bill is None:
        return 0.0
    return max(0.0, reference.bill["trials"] - row.bill["trials"])


def study_metrics(comparison: Comparison) -> Mapping[str, float]:
    """Return the metrics of the study's run: those of `study_row`, which may be the reference, which spares nothing."""
    return {**_nothing_spared(comparison), **summary_metrics(comparison, study_row(comparison))}


def study_tags(answer: Answer) -> Mapping[str, str]:
    """Return the verdict over all batch sizes as a tag of the study's run, and what its metrics are of.

    The tag begins with a word, since a column of the UI shows no more.
    """
    comparison = answer.comparison
    row = study_row(comparison)
    is_judged = bool(judged_arms(comparison.facts))
    verdict = f"{study_word(comparison)}. {study_line(comparison)}" if is_judged else answer.verdict
    prefix = "Not final. " if answer.incomplete else ""
    tabulated = {TAG_TABULATED: "true"} if comparison.tabulated else {}
    lines = "; ".join(map(amendment_line, read_amendments(answer.origin.sessions)))
    amended = {TAG_AMENDED: lines} if lines else {}
    return {TAG_VERDICT: f"{prefix}{verdict}", TAG_OF: f"{row.arm} at B={row.batch_size:,}", **tabulated, **amended}


def study_row(comparison: Comparison) -> ComparisonRow:
    """Return the row that stands for a study: at the largest batch size where an arm spares tuning, the first such arm.

    Without one, the reference at the largest batch size.
    """
    facts = comparison.facts
    for batch_size in sorted(facts.batch_sizes, reverse=True):
        for arm in judged_arms(facts):
            if comparison.row(arm, batch_size).spares_tuning:
                return comparison.row(arm, batch_size)
    return comparison.row(facts.reference, max(facts.batch_sizes))
