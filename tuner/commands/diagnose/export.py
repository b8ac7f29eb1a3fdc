"""Write a diagnosis to files: one table of all measurements, one page, and one image per figure."""

from collections.abc import Iterator
from pathlib import Path

from ...reports.html.document import page_figure, render_page
from ..page_files import write_page_files
from .diagnosis import DiagnosedRun, Diagnosis
from .figures import FIGURES
from .text import describe_distance, describe_peaks

COLUMNS = ("study", "arm", "seed", "batch_size", "iteration", "epoch", "quantity", "layer", "value")
"""Columns of the table, one number per row. `iteration` is the update that the number was measured before (for losses
the last one of the epoch), `epoch` the passes over the data by then; `layer` is empty for the whole model."""

Row = tuple[int, float, str, str, float]
"""iteration, epoch, quantity, layer, value."""


def export_diagnosis(diagnosis: Diagnosis, to: Path) -> list[Path]:
    """Write diagnosis.csv, diagnosis.html and one PNG per figure, and return the files."""
    figures = {name: figure.draw(diagnosis) for name, figure in FIGURES.items()}
    question = diagnosis.question
    sentences = [describe_peaks(diagnosis), f"{describe_distance(diagnosis)}.", *diagnosis.notes]
    title = f"{question.study.name}: {question.arm} from inside"
    drawn = [page_figure(name, figure, FIGURES[name].reading) for name, figure in figures.items()]
    page = render_page(title, drawn, sentences=sentences)
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in records(diagnosis)]
    page_file, table, *images = write_page_files(to, "diagnosis", page=page, records=rows, figures=figures)
    return [table, page_file, *images]


def records(diagnosis: Diagnosis) -> Iterator[tuple[str | int | float, ...]]:
    """Yield the rows of the table, without its heading."""
    question = diagnosis.question
    for run in diagnosis.runs:
        for row in (*_observed(run), *_losses(run)):
            yield (question.study.name, question.arm, question.seed, run.batch_size, *row)


def _observed(run: DiagnosedRun) -> Iterator[Row]:
    for seen in run.observations:
        epoch = run.epoch_of(seen.iteration)
        whole = {
            "learning_rate": seen.lr,
            "lipschitz_constant": seen.lipschitz,
            "gradient_noise_trace": seen.noise.trace,
            "gradient_squared_norm": seen.noise.squared_norm,
            "noise_scale": seen.noise.scale,
            "distance": seen.distance,
        }
        for quantity, value in whole.items():
            if value is not None:
                yield seen.iteration, epoch, quantity, "", value
        for layer in seen.layers:
            single = {
                "weight_norm": layer.weight,
                "gradient_norm": layer.gradient,
                "trust_ratio": layer.trust_ratio,
                "applied_ratio": layer.applied,
            }
            for quantity, value in single.items():
                if value is not None:
                    yield seen.iteration, epoch, quantity, layer.name, value


def _losses(run: DiagnosedRun) -> Iterator[Row]:
    iteration = 0
    for metrics in run.result.epochs:
        iteration += metrics.iterations
        losses = {
            "train_loss": metrics.train_loss,
            "validation_loss": metrics.validation_loss,
            "loss_gap": metrics.validation_loss - metrics.train_loss,
        }
        for quantity, value in losses.items():
            yield iteration, float(metrics.epoch), quantity, "", value
