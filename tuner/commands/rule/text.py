"""What a scaling rule gives, as tables on a terminal.

This module must not know plotly, nor where a baseline comes from.
"""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ....trainers.scaling import RULES
from ....trainers.schedules import DECAYS, Schedule
from ....trainers.spec import OptionValue
from ...reports.tables.plain import plain_table
from ...reports.text.format import format_epochs, format_lr
from .answer import RuleAnswer

MOMENTS = {
    "first": "the first",
    "end_of_warmup": "warm-up's end",
    "after_warmup": "the next",
    "middle_of_decay": "mid-decay",
    "last": "the last",
}
"""Column headings of `RuleRow.moments`."""


def print_rule(answer: RuleAnswer, console: Console) -> None:
    """Print the question, the tables with a row per batch size, and the notes."""
    for line in _headings(answer):
        console.print(line)
    console.print()
    console.print(_table(answer))
    console.print()
    console.print(_moments_table(answer))
    notes = _notes(answer)
    if notes:
        console.print()
    for sentence in notes:
        console.print(Text(sentence, style="dim"))


def _headings(answer: RuleAnswer) -> list[Text]:
    question, rule = answer.question, RULES[answer.question.rule]
    return [
        Text(f"{question.rule}: {rule.description}", style="bold"),
        Text(f"Source: {rule.source}.", style="dim"),
        Text(f"Baseline: B0={question.baseline.batch_size:,}, {format_schedule(answer.baseline)}."),
        Text(
            f"Run: {format_epochs(question.epochs)} of {question.num_samples:,} samples,"
            f" {_format_warmup(answer.rows[0].schedule)}, then decay {_format_decay(answer.rows[0].schedule)}."
        ),
    ]


def format_schedule(schedule: Schedule) -> str:
    """Format a schedule: peak, warm-up and decay."""
    spec = schedule.spec
    length = f" over {format_epochs(spec.warmup_epochs)}" if spec.warmup_epochs else ""
    return (
        f"learning rate {format_lr(spec.peak_lr)}, {_format_warmup(schedule)}{length}, decay {_format_decay(schedule)}"
    )


def _format_warmup(schedule: Schedule) -> str:
    """Format the shape of the warm-up and its start, which no rule changes."""
    spec = schedule.spec
    if not spec.warmup_epochs:
        return "no warm-up"
    return f"{spec.warmup} warm-up" + (
        f" from {format_lr(spec.warmup_start * spec.peak_lr)}" if spec.warmup_start else ""
    )


def _format_decay(schedule: Schedule) -> str:
    """Format the decay with those of its options that have an effect."""
    name, given = schedule.spec.decay.name, schedule.spec.decay.options
    defaults = DECAYS[name].defaults
    shown = {key: value for key, value in schedule.decay_options.items() if key in given or defaults.get(key)}
    listed = ", ".join(f"{key}={_format_option(value)}" for key, value in shown.items())
    return f"{name} ({listed})" if listed else name


def _format_option(value: OptionValue) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{number:g}" for number in value)
    return format_lr(value) if isinstance(value, float) else str(value).lower()


def _table(answer: RuleAnswer) -> Table:
    options = RULES[answer.question.rule].optimizer_options
    table = plain_table("B", "k", "peak LR", "warm-up\nepochs", "warm-up\niterations", "total\niterations", *options)
    for row in answer.rows:
        spec, schedule = row.schedule.spec, row.schedule
        table.add_row(
            f"{row.batch_size:,}",
            f"{row.k:.4g}",
            format_lr(spec.peak_lr),
            f"{spec.warmup_epochs:.5g}",
            f"{schedule.warmup_iterations:,}",
            f"{schedule.total_iterations:,}",
            *(_format_beta(row.optimizer.options[name]) for name in options),
        )
    return table


def _format_beta(value: OptionValue) -> str:
    """Format a beta, which can be close to 1, with seven digits; small values like a learning rate."""
    return f"{value:.7g}" if isinstance(value, float) and value >= 0.1 else _format_option(value)


def _moments_table(answer: RuleAnswer) -> Table:
    """Return a table of learning rates at notable iterations; below each, its iteration."""
    moments = {row.batch_size: row.moments for row in answer.rows}
    shown = [name for name in MOMENTS if any(name in found for found in moments.values())]
    table = plain_table("B", *(f"LR at\n{MOMENTS[name]}" for name in shown))
    for batch_size, found in moments.items():
        cells = [found.get(name) for name in shown]
        table.add_row(
            f"{batch_size:,}",
            *("-" if cell is None else f"{format_lr(cell.lr)}\nt={cell.iteration:,}" for cell in cells),
        )
    return table


def _notes(answer: RuleAnswer) -> list[str]:
    """Return sentences that say where the numbers come from, and which warm-ups are not the rule's."""
    notes = list(answer.notes)
    for row in answer.rows:
        spec, epochs = row.schedule.spec, answer.question.epochs
        start = f"B={row.batch_size:,}: the rule's warm-up of {format_epochs(row.rule_warmup_epochs)} outlasts the run"
        if spec.warmup_epochs < row.rule_warmup_epochs:
            notes.append(f"{start}: cut to half of it (--on-long-warmup clamp).")
        elif spec.warmup_epochs >= epochs:
            notes.append(
                f"{start}: it ends at {format_lr(row.moments['last'].lr)}, with no decay (--on-long-warmup keep)."
            )
    return notes
