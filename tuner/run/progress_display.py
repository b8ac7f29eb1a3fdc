"""Progress display of a running study: a live table, and one line per finished trial.

On a terminal, the table stays below the lines. Elsewhere (a pipe, CI), only the lines are printed.
"""

import time
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..reports.text.format import format_duration, format_params
from ..trial import Trial, TrialResult, is_score


@dataclass
class _CellState:
    planned: int = 0
    finished: int = 0
    best: float | None = None
    running: dict[str, int] = field(default_factory=dict)


class ProgressDisplay:
    """Display of a study's progress.

    With `more_may_come` the results decide what is trained next, so the remaining time is unknown.
    """

    def __init__(self, console: Console, *, metric: str, higher_is_better: bool, more_may_come: bool = False) -> None:
        self._console = console
        self._cells: dict[tuple[str, int], _CellState] = {}
        self._metric = metric
        self._better = max if higher_is_better else min
        self._begun = time.monotonic()
        self._more_may_come = more_may_come
        self.num_planned = 0
        self._finished = 0
        self._untrained = 0
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=2, transient=True)

    def __enter__(self) -> "ProgressDisplay":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def plan(self, arm: str, batch_size: int, number: int) -> None:
        """Add trials of an arm at a batch size; the table lists arms and batch sizes in the order of these calls."""
        self._cells.setdefault((arm, batch_size), _CellState()).planned += number
        self.num_planned += number

    def show_start(self, trial: Trial) -> None:
        """Show that a trial is being trained. Repeated calls have no effect."""
        self._cells[trial.arm, trial.batch_size].running.setdefault(trial.id, 0)

    def show_progress(self, trial: Trial, epoch: int) -> None:
        """Show that a trial finished an epoch, 1-based."""
        self._cells[trial.arm, trial.batch_size].running[trial.id] = epoch

    def show_result(self, result: TrialResult, *, replayed: bool = False) -> None:
        """Show a trial's result, whether from this run, an earlier run (`replayed`) or reuse."""
        trial = result.trial
        cell = self._cells[trial.arm, trial.batch_size]
        cell.running.pop(trial.id, None)
        cell.finished += 1
        self._finished += 1
        if is_score(result.validation_score) and result.status == "finished":
            best = result.validation_score if cell.best is None else cell.best
            cell.best = self._better(result.validation_score, best)
        self._untrained += replayed or result.reused_from is not None
        if not replayed:
            self._console.print(self._line(result), soft_wrap=True)  # one line per trial, even in a narrow log

    def note(self, sentence: str) -> None:
        """Show a note that is not about a finished trial."""
        self._console.print(Text(sentence, style="dim"), soft_wrap=True)

    def _line(self, result: TrialResult) -> Text:
        trial = result.trial
        width = len(str(self.num_planned))
        what = "confirm" if trial.role == "confirmation" else trial.role
        detail = f"seed={trial.config.seed}" if trial.role == "confirmation" else format_params(trial.params)
        line = Text(f"[{self._finished:>{width}}/{self.num_planned}] ", style="dim")
        line.append(f"{trial.arm} B={trial.batch_size:,} {what} ", style="bold")
        line.append(f"{detail}  ", style="dim")
        if result.status == "failed":
            line.append(f"failed: {result.error}", style="red")
            return line
        score = f"{self._metric} {result.validation_score:.4f}"
        style = {"finished": "green", "diverged": "yellow", "pruned": "dim"}[result.status]
        suffix = "" if result.status == "finished" else f" {result.status} in epoch {len(result.epochs)}"
        if result.divergence is not None:
            suffix = f" diverged: {result.divergence}"
        line.append(f"{score}{suffix}", style=style)
        seconds = format_duration(result.cost.device_seconds)
        line.append(f"  reused from {result.reused_from}" if result.reused_from else f"  {seconds}", style="dim")
        return line

    def _table(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name, justify in (("arm", "left"), ("batch", "right"), ("trials", "right"), ("best validation", "right")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        table.add_column("running (epoch)")
        for (arm, batch_size), cell in self._cells.items():
            done = cell.finished >= cell.planned
            best = "" if cell.best is None else f"{cell.best:.4f}"
            running = ", ".join(str(epoch) for epoch in cell.running.values())
            style = "green" if done else "" if cell.running else "dim"
            table.add_row(arm, str(batch_size), f"{cell.finished}/{cell.planned}", best, running, style=style)
        elapsed = time.monotonic() - self._begun
        fresh = self._finished - self._untrained
        left = self.num_planned - self._finished
        known = fresh >= 3 and left and not self._more_may_come
        rest = f", about {format_duration(elapsed / fresh * left)} to go" if known else ""
        so_far = " so far" if self._more_may_come else ""
        note = f"{self._finished} of {self.num_planned} trials{so_far}, {format_duration(elapsed)}{rest}"
        return Group(Text(), table, Text(note, style="dim"))
