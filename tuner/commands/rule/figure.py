"""The figure of a scaling rule: the learning rate over the epochs at every batch size.

This module must not know where a baseline comes from.
"""

from pathlib import Path

import plotly.graph_objects as go

from ....trainers.scaling import RULES
from ....trainers.schedules import Schedule
from ...errors import BadInput
from ...reports.figures.images import FORMATS, write_images
from ...reports.figures.style import COLOURS, GREY, apply_style, line_trace
from ...reports.html.document import page_figure, render_page
from ...reports.text.format import format_epochs, format_lr, pluralize
from .answer import RuleAnswer, lr_curve
from .text import format_schedule

PLOT_ENDINGS = ("html", *FORMATS)


def rule_figure(answer: RuleAnswer) -> go.Figure:
    """Draw the learning rate over the epochs: one line per batch size, that of the baseline dashed."""
    question = answer.question
    figure = go.Figure()
    figure.add_trace(_line(answer.baseline, f"baseline, B0={question.baseline.batch_size:,}", GREY, dash="dash"))
    for place, row in enumerate(answer.rows):
        colour = COLOURS[place % len(COLOURS)]
        dash = "solid" if place < len(COLOURS) else "dot"
        figure.add_trace(_line(row.schedule, f"B={row.batch_size:,}", colour, dash=dash))
    apply_style(
        figure,
        title=f"{question.rule}: {RULES[question.rule].description}",
        subtitle=_finding(answer),
    )
    figure.update_xaxes(title_text="epoch", range=[0, question.epochs])
    figure.update_yaxes(title_text="learning rate", rangemode="tozero", exponentformat="power")
    return figure


def _line(schedule: Schedule, name: str, colour: str, *, dash: str) -> go.Scatter:
    points = lr_curve(schedule)
    share = schedule.batch_size / schedule.num_samples
    epochs = [min(point.iteration * share, schedule.epochs) for point in points]
    hovers = [f"{name}<br>iteration {point.iteration:,}: {format_lr(point.lr)}" for point in points]
    label = f"{name}: peak {format_lr(schedule.spec.peak_lr)}"
    return line_trace(epochs, [point.lr for point in points], colour, hovers, dash=dash, name=label)


def _finding(answer: RuleAnswer) -> str:
    """Return the subtitle: the largest batch size in numbers."""
    question, row = answer.question, max(answer.rows, key=lambda row: row.batch_size)
    schedule = row.schedule
    return (
        f"From B0={question.baseline.batch_size:,} to B={row.batch_size:,}: peak learning rate"
        f" {format_lr(schedule.spec.peak_lr)}, warm-up of {format_epochs(schedule.spec.warmup_epochs)}"
        f" ({pluralize(schedule.warmup_iterations, 'iteration')}), {schedule.total_iterations:,} in all"
    )


def rule_page(answer: RuleAnswer) -> str:
    """Return the figure as an HTML page that opens without a network."""
    reading = f"Baseline: B0={answer.question.baseline.batch_size:,}, {format_schedule(answer.baseline)}."
    return render_page(f"zerotune rule {answer.question.rule}", [page_figure("rule", rule_figure(answer), reading)])


def check_plot(path: Path) -> None:
    """Refuse a file name that `write_plot` cannot use.

    Raises:
        BadInput: its extension is not .html, .png or .svg, or its folder does not exist.
    """
    if path.suffix.removeprefix(".") not in PLOT_ENDINGS:
        raise BadInput(f"--plot {path}: must end in .html, .png or .svg")
    if not path.parent.is_dir():
        raise BadInput(f"--plot {path}: there is no folder {path.parent}: create it, or name another")


def write_plot(answer: RuleAnswer, path: Path) -> None:
    """Write the figure to a file in an existing folder, in the format of its extension: .html, .png or .svg.

    Raises:
        BadInput: the name cannot be used, the file cannot be written, or no browser can render the image.
    """
    check_plot(path)
    ending = path.suffix.removeprefix(".")
    try:
        if ending == "html":
            path.write_text(rule_page(answer), encoding="utf-8")
            return
        _, notice = write_images({path.stem: rule_figure(answer)}, path.parent, formats=(ending,))
    except OSError as error:
        raise BadInput(f"--plot {path}: cannot be written ({error.strerror}): name another file") from None
    if notice:
        raise BadInput(f"--plot {path}: {notice}")
