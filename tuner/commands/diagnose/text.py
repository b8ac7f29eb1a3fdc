"""A diagnosis as sentences, and as a table on a terminal.

This module must not know plotly.
"""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...reports.tables.plain import plain_table
from .diagnosis import DiagnosedRun, Diagnosis

MOVES = {"later": "later in {unit}", "earlier": "earlier in {unit}", "neither": "neither earlier nor later in {unit}"}
HESSIAN_METHODS = {"difference": "by a finite difference", "exact": "by differentiating twice"}


def format_number(number: float | None) -> str:
    """Format a number to three digits; None as a dash.

    >>> format_number(0.012345), format_number(1234.5), format_number(None)
    ('0.0123', '1,234', '-')
    """
    if number is None:
        return "-"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def describe_peak_shift(diagnosis: Diagnosis) -> str:
    """Describe whether the peak of the Lipschitz constant moves with the batch size, in epochs and in updates."""
    moves = diagnosis.peak_shift
    if moves is None:
        flat = [f"B={run.batch_size:,}" for run in diagnosis.runs if run.peak is None or not run.peak.is_inside]
        if flat:
            return f"The Lipschitz constant shows no peak inside the run at {', '.join(flat)}"
        return "The Lipschitz constant has a peak"
    in_epochs, in_updates = (MOVES[moves[unit]].format(unit=unit) for unit in ("epochs", "updates"))
    return f"As the batch grows the peak of the Lipschitz constant comes {in_epochs} and {in_updates}"


def format_peaks(diagnosis: Diagnosis) -> str:
    """Format where the peaks are; empty if there is none."""
    return ", ".join(
        f"at B={run.batch_size:,} before update {run.peak.iteration:,} (epoch {format_number(run.peak.epoch)})"
        for run in diagnosis.runs
        if run.peak is not None and run.peak.is_inside
    )


def describe_peaks(diagnosis: Diagnosis) -> str:
    """Describe how the peak moves and where it is."""
    places = format_peaks(diagnosis)
    return f"{describe_peak_shift(diagnosis)}{f'; it is largest {places}' if places else ''}."


def describe_distance(diagnosis: Diagnosis) -> str:
    """Describe which law of time fits the distance better, at how many batch sizes, and how well."""
    both = [run.fits for run in diagnosis.runs if len(run.fits) > 1]
    if not both:
        return "Too few updates were measured to fit the distance from the initial weights"
    num_log = sum(fits["log t"].r_squared > fits["sqrt t"].r_squared for fits in both)
    better, num_better = ("log t", num_log) if num_log * 2 >= len(both) else ("sqrt t", len(both) - num_log)
    r_squared = sorted(fits[better].r_squared for fits in both)
    shown = " to ".join(dict.fromkeys(f"{end:.2f}" for end in (r_squared[0], r_squared[-1])))
    sizes = "batch size" if len(both) == 1 else "batch sizes"
    return (
        f"The distance from the initial weights is fitted better by {better} at {num_better} of {len(both)} {sizes},"
        f" with an R² of {shown}"
    )


def format_gap(run: DiagnosedRun) -> str:
    """Format the loss gap after the last epoch, in nats."""
    return f"{run.loss_gaps[-1][1]:+.3f}" if run.loss_gaps else "-"


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print a row per batch size, the findings, and an explanation of the columns."""
    question = diagnosis.question
    title = f"{question.study.name}: {question.arm} from inside, seed {question.seed}"
    console.print(Text(title, style="bold"))
    console.print()
    console.print(_table(diagnosis))
    console.print()
    console.print(Text(describe_peaks(diagnosis)))
    console.print(Text(f"{describe_distance(diagnosis)}."))
    for sentence in (*diagnosis.notes, *(_ended_early(run) for run in diagnosis.runs)):
        if sentence:
            console.print(Text(sentence))
    console.print()
    console.print(
        Text(
            f"L: curvature g'Hg/|g|² along the gradient of fixed samples, {HESSIAN_METHODS[question.method]}; the"
            " largest value, in brackets if it is no peak: less than twice the first value, or the last one."
            " R²: fit of a + b f(t) to |w - w0|. Noise scale: tr(Sigma)/|G|² in samples, median of the last fifth of"
            " the measurements. Loss gap: validation minus training loss of the last epoch, in nats.",
            style="dim",
        )
    )


def diagnosis_as_json(diagnosis: Diagnosis) -> Mapping[str, Any]:
    """Return what `print_diagnosis` prints, as values: a run per batch size, and the findings."""
    question = diagnosis.question
    return {
        "study": question.study.name,
        "arm": question.arm,
        "seed": question.seed,
        "hessian": question.method,
        "runs": [
            {
                "batch_size": run.batch_size,
                "updates": run.iterations,
                "status": run.result.status,
                "peak": run.peak,
                "last_lipschitz": run.observations[-1].lipschitz,
                "r_squared": {law: fit.r_squared for law, fit in run.fits.items()},
                "noise_scale": run.late_noise_scale,
                "loss_gap": run.loss_gaps[-1][1] if run.loss_gaps else None,
            }
            for run in diagnosis.runs
        ],
        "findings": [describe_peaks(diagnosis), f"{describe_distance(diagnosis)}."],
        "notes": [*diagnosis.notes, *filter(None, map(_ended_early, diagnosis.runs))],
    }


def _ended_early(run: DiagnosedRun) -> str:
    if run.result.status != "diverged":
        return ""
    return f"At B={run.batch_size:,} training diverged in epoch {len(run.result.epochs)}."


def _table(diagnosis: Diagnosis) -> Table:
    table = plain_table(
        *("B", "updates", "largest\nL", "before\nupdate", "at\nepoch", "last\nL"),
        *("R²\nlog t", "R²\nsqrt t", "noise\nscale", "loss\ngap"),
    )
    for run in diagnosis.runs:
        peak, fits = run.peak, run.fits
        cells = ["-", "-", "-"]
        if peak is not None:
            cells = [format_number(peak.value), f"{peak.iteration:,}", format_number(peak.epoch)]
            cells = cells if peak.is_inside else [f"({cell})" for cell in cells]
        table.add_row(
            f"{run.batch_size:,}",
            f"{run.iterations:,}",
            *cells,
            format_number(run.observations[-1].lipschitz),
            *(f"{fits[law].r_squared:.3f}" if law in fits else "-" for law in ("log t", "sqrt t")),
            format_number(run.late_noise_scale),
            format_gap(run),
        )
    return table
