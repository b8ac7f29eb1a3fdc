"""What to do after an answer, as sentences that end in a command where there is one.

This module must not know rich. It escapes nothing.
"""

import itertools
import shlex
from collections.abc import Iterable

from ....trainers.scaling import RULES
from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...analysis.selection import BASELINE
from ...analysis.verdict import Kind
from ...study import Study, shipped_studies
from ...study.searched import chosen_model_options
from ..answer import Answer
from .configuration import confirmed_config, format_config, format_model_options
from .format import join_names
from .rule_command import format_rule_command
from .verdict import judged_arms

MOST_SEEDS = 30
"""More seeds than this are not listed."""

MOST_RULES = 3
"""Rules that a sentence names."""


def next_steps(subject: Answer, study: str | None = None, options: str | None = None) -> tuple[str, ...]:
    """Return at most three steps: complete the study, use what it found, and what another study should change.

    Args:
        subject: the answer.
        study: the study's file or shipped name, as commands take it; None if it is not known.
        options: of commands, that name application and store; None for those of the answer's origin.
    """
    options = subject.origin.places if options is None else options
    if subject.incomplete:
        again = f" A study that was stopped goes on with: {_command('run', study, options)}" if study else ""
        return (f"Complete the study first, as its first line says.{again}",)
    if subject.comparison.tabulated:  # a table answers no more than it holds
        return tuple(step for step in (_use(subject),) if step)
    steps = (_retry(subject, study, options), _use(subject), _change(subject, study, options))
    return tuple(step for step in steps if step)


def _command(verb: str, study: str, *options: str) -> str:
    return " ".join(["zerotune", verb, shlex.quote(study), *filter(None, options)])


def _retry(subject: Answer, study: str | None, options: str) -> str:
    if study is None or not any(result.status == "failed" for result in subject.results):
        return ""
    return f"Mend what made trainings fail, then run them again: {_command('retry', study, '--failed', options)}"


def _use(subject: Answer) -> str:
    """Say what to train with at the largest batch size that has an answer."""
    comparison, shown = subject.comparison, chosen_model_options(subject.origin.study)
    for batch_size in reversed(comparison.facts.batch_sizes):
        for row in _judged(comparison, batch_size):
            if not row.spares_tuning:
                continue
            config = confirmed_config(subject.results, row.arm, batch_size)
            command = format_rule_command(subject.origin.study, comparison.facts, subject.results, row.arm, batch_size)
            if command and config:
                model = f" with {format_model_options(config, shown)}" if shown else ""
                return f"What {row.arm} trains with at B={batch_size:,}, for your own script{model}: {command}"
            if config:
                return f"What {row.arm} trains with at B={batch_size:,}: {format_config(config, shown)}"
    return _use_reference(subject)


def _use_reference(subject: Answer) -> str:
    """Say what the reference chose at the largest batch size where every other arm is worse or unreliable."""
    comparison, reference = subject.comparison, subject.comparison.facts.reference
    for batch_size in reversed(comparison.facts.batch_sizes):
        kinds = _kinds(comparison, batch_size)
        config = confirmed_config(subject.results, reference, batch_size)
        is_sound = not comparison.row(reference, batch_size).seeds.lost
        if kinds and kinds <= {"worse", "unreliable"} and is_sound and config is not None:
            shown = chosen_model_options(subject.origin.study)
            return f"What {reference} trains with at B={batch_size:,}: {format_config(config, shown)}"
    return ""


def _change(subject: Answer, study: str | None, options: str) -> str:
    """Say what another study should change, and how to run it: a study that has results keeps its definition."""
    comparison = subject.comparison
    changes = [change for change in (_seeds(comparison, subject.origin.study), _ranges(comparison)) if change]
    changes += _remedies(comparison, subject.origin.study)
    if not changes:
        return ""
    name = f"{comparison.facts.name}-2"
    source = "the study's file" if study is None else shlex.quote(str(shipped_studies().get(study, study)))
    run = _command("run", f"{name}.yaml", options)
    return (
        f"To learn more, copy {source} to {name}.yaml and change there: name: {name}; {'; '.join(changes)}. Then: {run}"
    )


def _seeds(comparison: Comparison, study: Study) -> str:
    """Return fresh seeds that would settle one more verdict: seeds that were seen would find a yes by chance."""
    rows = [row for row in _all_judged(comparison) if row.verdict is not None and row.verdict.seeds_needed]
    if not rows:
        return ""
    is_open = [row for row in rows if row.verdict is not None and row.verdict.kind == "not shown"] or rows
    row = min(is_open, key=lambda row: row.verdict.seeds_needed if row.verdict and row.verdict.seeds_needed else 0)
    needed = row.verdict.seeds_needed if row.verdict else None
    if needed is None:
        return ""
    where = f"they settle {row.arm} at B={row.batch_size:,} if its difference and the other arms stay"
    if needed > MOST_SEEDS:
        return f"{needed:,} seeds ({where})"
    return f"seeds: [{', '.join(map(str, _fresh(study, needed)))}] ({where})"


def _fresh(study: Study, number: int) -> list[int]:
    """Return seeds that neither confirm nor search in a study."""
    free = (seed for seed in itertools.count() if seed not in (*study.seeds, study.search_seed))
    return list(itertools.islice(free, number))


def _ranges(comparison: Comparison) -> str:
    """Return the ranges to widen: those of the reference and of baselines, on which verdicts rest."""
    facts = comparison.facts
    edges = [edge for edge in comparison.edges if edge.arm == facts.reference or edge.arm.endswith(BASELINE)]
    if not edges:
        return ""
    names = dict.fromkeys(f"{edge.name} of {edge.arm}" for edge in edges)
    return f"a wider range for {join_names(list(names))}"


def _remedies(comparison: Comparison, study: Study) -> Iterable[str]:
    """Yield what may help at the batch sizes where no arm spares tuning for a reason that more seeds do not mend."""
    for batch_size in comparison.facts.batch_sizes:
        kinds = _kinds(comparison, batch_size)
        if kinds & {"yes", "yes, but", "not shown"}:
            continue
        if kinds & {"worse", "unreliable", "batch too large"}:
            between = " or a smaller batch size" if batch_size > comparison.facts.baseline_batch_size + 1 else ""
            rules = _untried_rules(study)
            another = f", or another rule ({', '.join(rules)})" if rules else ""
            yield f"more epochs{between}{another}, which may help at B={batch_size:,}"
            return
        reasons = {row.verdict.reason for row in _judged(comparison, batch_size) if row.verdict}
        if "baseline guesses" in reasons:
            yield "another optimizer or learning rate of the baseline, or more epochs: it must learn first"
            return
        if "reference guesses" in reasons:
            yield f"a stronger search for {comparison.facts.reference}: more trials, another optimizer or range"
            return


def _untried_rules(study: Study) -> list[str]:
    """Return rules that no arm uses, that fit every optimizer, need no number and differ from those in use."""
    used = {arm.method for arm in study.arms} | {"constant"}
    if "sqrt" in used and not study.baseline.warmup_epochs:
        used.add("legw")  # without a warm-up to lengthen it is sqrt
    plain = {name: rule for name, rule in RULES.items() if not rule.numbers}
    fitting = [name for name, rule in plain.items() if not rule.wants_ratio and not rule.optimizer_options]
    return [name for name in fitting if name not in used][:MOST_RULES]


def _kinds(comparison: Comparison, batch_size: int) -> set[Kind]:
    return {row.verdict.kind for row in _judged(comparison, batch_size) if row.verdict is not None}


def _judged(comparison: Comparison, batch_size: int) -> list[ComparisonRow]:
    return [comparison.row(arm, batch_size) for arm in judged_arms(comparison.facts)]


def _all_judged(comparison: Comparison) -> list[ComparisonRow]:
    return [row for size in comparison.facts.batch_sizes for row in _judged(comparison, size)]
