"""The command `zerotune grids`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import BadInput
from ..output import FormatOption, OutputFormat, print_json
from ..terminal import console, print_lines, refuse_unwritable

if TYPE_CHECKING:
    from ...analysis.learning_rate_answer import GridsAnswer, GridsQuestion
    from ...analysis.learning_rate_grids import Grid
    from ...reports.tables.result_tables import Table
    from .layout import Layout

DEVICE_TFLOPS = 395.6
"""40% of an NVIDIA H100's dense bfloat16 peak of 989 TFLOP/s."""


def grids(
    layout: Annotated[
        str,
        typer.Argument(metavar="LAYOUT", help="step_law, or a YAML file that says what the columns of a table are."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the table. Default: that of LAYOUT; step_law: the current one."),
    ] = None,
    baseline_batch_size: Annotated[
        int, typer.Option(min=1, metavar="B0", help="Batch size at which the model is tuned.")
    ] = 64,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="B",
            help="Batch size to train at. Default: the largest of at least half of the grids, up to 8 times B0.",
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(metavar="LOSS", help="Loss above the best that does not matter, in the table's unit.")
    ] = 0.01,
    device_tflops: Annotated[
        float,
        typer.Option(
            metavar="TFLOPS",
            help="Useful TFLOP/s of a device, for what tuning costs. Default: assumed, 40% of an H100's 989.",
        ),
    ] = DEVICE_TFLOPS,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write grids.html, three CSV tables and images of the figures to."),
    ] = None,
    format: FormatOption = OutputFormat.text,
) -> None:
    """Ask past trainings, a grid of learning rates at several batch sizes, whether to tune again at a larger batch.

    Example: zerotune grids step_law --data steplaw/data --baseline-batch-size 64 --batch-size 512
    """
    from ...analysis.learning_rate_answer import GridsQuestion, answer_grids, default_batch_size
    from ...analysis.learning_rate_grids import build_grids
    from .export import answer_as_json, write_grids
    from .layout import find_layout, read_trainings

    for name, value in (("--tolerance", tolerance), ("--device-tflops", device_tflops)):
        if not 0 < value < math.inf:
            raise BadInput(f"{name} must be a positive number, got {value:g}")
    found, folder = find_layout(layout)
    sorted_grids = build_grids(read_trainings(found, data or folder))
    asked = batch_size or default_batch_size(sorted_grids, baseline_batch_size)
    question = GridsQuestion(
        baseline_batch_size=baseline_batch_size,
        batch_size=asked or baseline_batch_size,
        tolerance=tolerance,
        device_flops=device_tflops * 1e12,
    )
    _check_batch_sizes(sorted_grids, question)
    answer = answer_grids(sorted_grids, question)
    files = []
    if to is not None:
        with refuse_unwritable(to):
            files = write_grids(answer, found, to)
    if format is OutputFormat.json:
        print_json("grids", answer_as_json(answer, found))
        return
    _print_answer(answer, found)
    if files:
        console.print()
        print_lines(files)


def _check_batch_sizes(grids: "tuple[Grid, ...]", question: "GridsQuestion") -> None:
    """Refuse a pair of batch sizes that no grid can answer."""
    start, asked = question.baseline_batch_size, question.batch_size
    if any(start in grid.bests and asked in grid.bests for grid in grids) and start != asked:
        return
    known = sorted({size for grid in grids for size in grid.bests})
    if not known:
        raise BadInput(
            "no grid has a best learning rate at any batch size: at least three learning rates are needed at one batch"
            " size, with the lowest loss between the others. Are the columns named by grid those that tell models"
            " apart?"
        )
    listed = ", ".join(f"{size:,}" for size in known)
    if start == asked:
        raise BadInput(
            f"no grid has a best learning rate at {start:,} and at a larger batch size up to 8 times it: choose"
            f" --baseline-batch-size and --batch-size, two of {listed}"
        )
    raise BadInput(
        f"no grid has a best learning rate at both {start:,} and {asked:,}: choose --baseline-batch-size and"
        " --batch-size of"
        f" {listed}"
    )


def _print_answer(answer: "GridsAnswer", layout: "Layout") -> None:
    from rich.text import Text

    from .tables import band_table, batch_table, group_tables, rules_table
    from .text import headline, notes, sentences

    console.print(Text(headline(answer, layout), style="bold"))
    for table in (rules_table(answer, layout), batch_table(answer), *group_tables(answer), band_table(answer)):
        console.print()
        _print_table(table)
    console.print()
    for sentence in sentences(answer, layout):
        console.print(Text(sentence))
    console.print()
    for note in notes(answer, layout):
        console.print(Text(note, style="dim"))


def _print_table(table: "Table") -> None:
    from rich.text import Text

    from ...reports.tables.plain import plain_table

    console.print(Text(table.caption, style="dim"))
    shown = plain_table()
    for place, heading in enumerate(table.columns):
        shown.add_column(heading, justify="left" if place in table.words else "right")
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    console.print(shown)
