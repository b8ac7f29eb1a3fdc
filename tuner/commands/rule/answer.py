"""The answer of `zerotune rule`: what a scaling rule gives for a baseline and some batch sizes, as plain values.

Pure: this module must not know torch, the applications, the command line or how an answer is shown.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ....trainers.scaling import RULES, OnLongWarmup, rule_remarks, scale
from ....trainers.schedules import Schedule, build_schedule
from ....trainers.spec import Baseline, OptimizerSpec
from ....trainers.tables import lookup

MAX_POINTS = 2000
"""Maximum number of points of a learning-rate curve. A shorter run has one point per iteration."""


@dataclass(frozen=True, kw_only=True)
class RuleQuestion:
    """A question to a rule, with the configuration tuned at B0.

    Attributes:
        batch_sizes: batch sizes B, each 1 .. `num_samples`, in the order of the answer.
        epochs: length of the run, >= 1.
        num_samples: n, training samples, >= 1.
        numbers: what the rule needs besides the baseline (`Rule.numbers`).
        notes: sentences that say where the numbers come from.
    """

    rule: str
    baseline: Baseline
    batch_sizes: tuple[int, ...]
    epochs: int
    num_samples: int
    on_long_warmup: OnLongWarmup = "error"
    numbers: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RuleRow:
    """What the rule gives at one batch size.

    Attributes:
        k: B / B0.
        optimizer: the optimizer with its options as the rule changes them.
        rule_warmup_epochs: the warm-up the rule asks for; that of the schedule is shorter if it was clamped.
    """

    batch_size: int
    k: float
    schedule: Schedule
    optimizer: OptimizerSpec
    rule_warmup_epochs: float

    @property
    def moments(self) -> "dict[str, SchedulePoint]":
        """Return notable iterations by name, in order; those of a warm-up or a decay only if the run has one."""
        total, warmup = self.schedule.total_iterations, self.schedule.warmup_iterations
        iterations = {"first": 1, "end_of_warmup": warmup, "after_warmup": warmup + 1}
        iterations |= {"middle_of_decay": (warmup + 1 + total) // 2, "last": total}
        if not warmup:
            del iterations["end_of_warmup"], iterations["after_warmup"]
        if warmup == total:
            del iterations["after_warmup"], iterations["middle_of_decay"]
        return {name: SchedulePoint(iteration=t, lr=self.schedule.lr(t)) for name, t in iterations.items()}


@dataclass(frozen=True, kw_only=True)
class SchedulePoint:
    """An iteration, 1 .. T, and its learning rate."""

    iteration: int
    lr: float


@dataclass(frozen=True, kw_only=True)
class RuleAnswer:
    """A question, the baseline's schedule, and a row per batch size."""

    question: RuleQuestion
    baseline: Schedule
    rows: tuple[RuleRow, ...] = field(default_factory=tuple)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the question's notes, and what the rule does less than its name says.

        The optimizer that a rule trains with is not asked for, so nothing is said of its ratio.
        """
        remarks = rule_remarks(self.question.rule, self.question.baseline, has_ratio=None)
        return (*self.question.notes, *(text[0].upper() + text[1:] for text in remarks))


def answer_rule(question: RuleQuestion) -> RuleAnswer:
    """Apply a rule.

    Raises:
        UnknownName: unknown rule, warm-up, decay or option.
        ValueError: a number is out of its range, the warm-up would outlast the run, or the rule does not apply to
            the baseline's optimizer.

    The worked example of DATE 3.6:

    >>> from zerotune.trainers.spec import ScheduleSpec
    >>> schedule = ScheduleSpec(peak_lr=1.25e-3, warmup_epochs=2)
    >>> baseline = Baseline(batch_size=1024, schedule=schedule, optimizer=OptimizerSpec(name="date"))
    >>> question = RuleQuestion(rule="date", baseline=baseline, batch_sizes=(8192,), epochs=30, num_samples=60_000)
    >>> (row,) = answer_rule(question).rows
    >>> row.schedule.warmup_iterations, row.schedule.total_iterations
    (117, 220)
    """
    baseline, num_samples, epochs = question.baseline, question.num_samples, question.epochs
    entry = lookup("rule", RULES, question.rule)
    own = build_schedule(baseline.schedule, num_samples=num_samples, batch_size=baseline.batch_size, epochs=epochs)
    rows = []
    for batch_size in question.batch_sizes:
        scaled = scale(
            question.rule,
            baseline,
            batch_size=batch_size,
            epochs=epochs,
            on_long_warmup=question.on_long_warmup,
            numbers=question.numbers,
        )
        k = batch_size / baseline.batch_size
        rows.append(
            RuleRow(
                batch_size=batch_size,
                k=k,
                schedule=build_schedule(scaled.schedule, num_samples=num_samples, batch_size=batch_size, epochs=epochs),
                optimizer=scaled.optimizer,
                rule_warmup_epochs=entry.warmup_epochs(baseline.schedule.warmup_epochs, k),
            )
        )
    return RuleAnswer(question=question, baseline=own, rows=tuple(rows))


def lr_curve(schedule: Schedule) -> list[SchedulePoint]:
    """Return the learning rate over the run: at most `MAX_POINTS` iterations, and those around the end of warm-up."""
    total, warmup = schedule.total_iterations, schedule.warmup_iterations
    num = min(total, MAX_POINTS)
    iterations = {1 + round(i * (total - 1) / max(1, num - 1)) for i in range(num)}
    iterations |= {t for t in (warmup, warmup + 1) if 1 <= t <= total}
    return [SchedulePoint(iteration=t, lr=schedule.lr(t)) for t in sorted(iterations)]


def answer_as_json(answer: RuleAnswer) -> dict[str, Any]:
    """Return the answer as plain JSON values at full precision; with the optimizer if the rule changes it."""
    question = answer.question
    changes_optimizer = bool(RULES[question.rule].optimizer_options)

    def optimizer(spec: OptimizerSpec) -> dict[str, Any]:
        return {"optimizer": asdict(spec)} if changes_optimizer else {}

    return {
        "rule": question.rule,
        "epochs": question.epochs,
        "num_samples": question.num_samples,
        "on_long_warmup": question.on_long_warmup,
        **({"numbers": dict(question.numbers)} if question.numbers else {}),
        "baseline": {
            "batch_size": question.baseline.batch_size,
            "schedule": asdict(question.baseline.schedule),
            **optimizer(question.baseline.optimizer),
        },
        "notes": list(answer.notes),
        "rows": [
            {
                "batch_size": row.batch_size,
                "k": row.k,
                "total_iterations": row.schedule.total_iterations,
                "warmup_iterations": row.schedule.warmup_iterations,
                "schedule": asdict(row.schedule.spec),
                **optimizer(row.optimizer),
                "moments": {name: asdict(moment) for name, moment in row.moments.items()},
            }
            for row in answer.rows
        ],
    }
