"""The options of `zerotune rule`, and the question that they ask for `tuner.commands.rule.answer`.

An application supplies the options that are not given. Applications import torch, so they are imported only if one is
named, or if a rule needs an optimizer's defaults. This module must not know how an answer is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any

import typer

from ....trainers.scaling import RULES, Rule
from ....trainers.spec import Baseline, DecaySpec, OptimizerSpec, OptionValue, ScheduleSpec
from ....trainers.tables import lookup
from ...errors import BadInput
from .answer import RuleAnswer, RuleQuestion, answer_rule

EXAMPLE = (
    "zerotune rule {rule} --baseline-batch-size 1024 --lr 1.25e-3 --warmup-epochs 2 --epochs 30 --num-samples 60000"
    " --batch-size 8192"
)
"""The worked example of DATE 3.6."""


NUMBERS = {
    "exponent": "the power of k by which the best learning rate grows; zerotune grids fits it to past trainings",
    "noise_batch_size": "the batch size beyond which the best learning rate levels off, in samples; zerotune grids fits"
    " it to past trainings",
}
"""What a rule's number is, and where it comes from."""

BASELINE = "Baseline"
RUN = "Run"
"""Panels of the help."""


class LongWarmup(StrEnum):
    """What to do with a warm-up that outlasts the run. The names are those of `trainers.scaling.OnLongWarmup`."""

    error = "error"
    clamp = "clamp"
    keep = "keep"


def _baseline(metavar: str, text: str, *, min: int | None = None) -> Any:
    return typer.Option(metavar=metavar, help=text, min=min, rich_help_panel=BASELINE)


def _run(metavar: str, text: str, *, min: int | None = None) -> Any:
    return typer.Option(metavar=metavar, help=text, min=min, rich_help_panel=RUN)


@dataclass(frozen=True, kw_only=True)
class RuleOptions:
    """The options of the command by name; None or empty if they were not given."""

    rule: Annotated[str, typer.Argument(metavar="RULE", help="Scaling rule, e.g. date or legw (zerotune list rules).")]
    batch_sizes: Annotated[
        list[int] | None,
        typer.Option("--batch-size", min=1, metavar="B", help="Batch size to scale to, in samples. Can be repeated."),
    ] = None
    application: Annotated[
        str | None,
        _baseline("NAME", "Application whose baseline, epochs and samples are the defaults, e.g. lenet_mnist."),
    ] = None
    baseline_batch_size: Annotated[int | None, _baseline("B0", "Batch size of the baseline, in samples.", min=1)] = None
    lr: Annotated[float | None, _baseline("LR0", "Peak learning rate at B0.")] = None
    warmup_epochs: Annotated[float | None, _baseline("W0", "Warm-up at B0, in epochs. Default: 0.")] = None
    warmup: Annotated[
        str | None, _baseline("SHAPE", "Shape of the warm-up: none, linear, quadratic, cosine or constant.")
    ] = None
    warmup_start: Annotated[
        float | None,
        _baseline(
            "FRACTION",
            "Learning rate at the start of the warm-up, as a fraction of LR0, 0 to 1. Default: 0; constant: 1.",
        ),
    ] = None
    decay: Annotated[
        str | None, _baseline("NAME", "Decay after the warm-up (zerotune list schedules). Default: constant.")
    ] = None
    decay_options: Annotated[
        list[str] | None,
        typer.Option(
            "--decay-option",
            metavar="NAME=VALUE",
            help="Option of the decay, e.g. power=1 or milestones=10,20,27. Can be repeated.",
            rich_help_panel=BASELINE,
        ),
    ] = None
    optimizer: Annotated[
        str | None, _baseline("NAME", "Optimizer, for rules that change its options (adam-sde), e.g. adam.")
    ] = None
    beta1: Annotated[float | None, _baseline("BETA", "Its first-moment decay.")] = None
    beta2: Annotated[float | None, _baseline("BETA", "Its second-moment decay.")] = None
    eps: Annotated[float | None, _baseline("EPS", "Its epsilon.")] = None
    exponent: Annotated[
        float | None, _baseline("P", "Exponent of the rules power (must be given) and saturating (default: 1).")
    ] = None
    noise_batch_size: Annotated[
        float | None, _baseline("BN", "Noise batch size of the rules surge and saturating, in samples.")
    ] = None
    epochs: Annotated[int | None, _run("E", "Length of the run, in epochs.", min=1)] = None
    num_samples: Annotated[int | None, _run("N", "Number of training samples.", min=1)] = None
    data_source: Annotated[
        str | None, _run("NAME", "Data source of the application to take N from. Default: the largest.")
    ] = None
    on_long_warmup: Annotated[
        LongWarmup,
        typer.Option(
            help="If the warm-up outlasts the run: refuse it, clamp it to half of the run, or keep it.",
            rich_help_panel=RUN,
        ),
    ] = LongWarmup.error


def answer_options(options: RuleOptions) -> RuleAnswer:
    """Answer the question that the options ask.

    Raises:
        BadInput: an option is missing, unknown, out of range or without effect; the message says what to do.
    """
    try:
        entry = lookup("rule", RULES, options.rule)
        return answer_rule(_question(options, entry))
    except ValueError as error:
        raise BadInput(str(error)) from None


@dataclass(frozen=True, kw_only=True)
class ApplicationDefaults:
    """What an application supplies, None if it does not, and sentences that say so."""

    baseline: Baseline | None
    epochs: int | None
    num_samples: int
    notes: tuple[str, ...]


def _question(options: RuleOptions, entry: Rule) -> RuleQuestion:
    if options.application is None and options.data_source is not None:
        raise BadInput("--data-source has no effect without --application: leave it out, or give --num-samples")
    known = _application_defaults(options.application, options) if options.application else None
    baseline = known.baseline if known else None
    batch_size = options.baseline_batch_size or (baseline.batch_size if baseline else None)
    lr = options.lr if options.lr is not None or baseline is None else baseline.schedule.peak_lr
    epochs = options.epochs or (known.epochs if known else None)
    num_samples = options.num_samples or (known.num_samples if known else None)
    if batch_size is None or lr is None or epochs is None or num_samples is None or not options.batch_sizes:
        needed = {
            "--baseline-batch-size": batch_size,
            "--lr": lr,
            "--epochs": epochs,
            "--num-samples": num_samples,
            "--batch-size": options.batch_sizes or None,
        }
        raise BadInput(_describe_missing(options, [option for option, value in needed.items() if value is None]))
    return RuleQuestion(
        rule=options.rule,
        baseline=Baseline(
            batch_size=batch_size,
            schedule=_schedule(options, baseline, lr),
            optimizer=_optimizer(options, entry, baseline),
        ),
        batch_sizes=tuple(dict.fromkeys(options.batch_sizes)),
        epochs=epochs,
        num_samples=num_samples,
        on_long_warmup=options.on_long_warmup.value,
        numbers=_numbers(options, entry),
        notes=known.notes if known else (),
    )


def _numbers(options: RuleOptions, entry: Rule) -> dict[str, float]:
    """Return the numbers that the rule needs besides the baseline."""
    found: dict[str, float] = {}
    for name in ("exponent", "noise_batch_size"):
        value, option = getattr(options, name), f"--{name.replace('_', '-')}"
        if value is not None and name not in entry.numbers:
            raise BadInput(f"{option} has no effect: rule {options.rule} needs none")
        if value is None and name in entry.numbers and entry.numbers[name] is None:
            raise BadInput(f"rule {options.rule} needs {option}: {NUMBERS[name]}")
        if value is not None:
            found[name] = value
    return found


def _describe_missing(options: RuleOptions, missing: Sequence[str]) -> str:
    are = "is" if len(missing) == 1 else "are"
    listed = f"{', '.join(missing[:-1])} and {missing[-1]}" if len(missing) > 1 else missing[0]
    instead = (
        "" if options.application or missing == ["--batch-size"] else " (or name an --application that knows them)"
    )
    return (
        f"rule {options.rule} starts from a baseline and gives what to train with at a batch size: {listed} {are}"
        f" missing{instead}. For example: {EXAMPLE.format(rule=options.rule)}"
    )


def _application_defaults(name: str, options: RuleOptions) -> ApplicationDefaults:
    from ....trainers.applications.registry import find_application
    from ...study.methods import RULE_OPTIMIZERS

    if options.data_source is not None and options.num_samples is not None:
        raise BadInput("--data-source has no effect beside --num-samples: leave one of them out")
    entry = find_application(name)
    baseline, sources = entry.baseline, entry.data_sources
    to_tune_on = [source for source in sources if sources[source].holds_out] or list(sources)
    source = options.data_source or max(to_tune_on, key=lambda source: sources[source].num_train or 0)
    num_train = options.num_samples or lookup("data source", sources, source).num_train
    if num_train is None:
        raise BadInput(f"{name}'s data source {source} has as many samples as its files hold: say --num-samples")
    notes = []
    if options.num_samples is None:
        notes.append(f"{num_train:,} is the number of training samples of {name}'s data source {source}.")
    solver = RULE_OPTIMIZERS.get(options.rule)
    if baseline and solver not in (None, baseline.optimizer.name) and options.lr is None:
        notes.append(
            f"Rule {options.rule} trains with the optimizer {solver}, but {name}'s learning rate was tuned with"
            f" {baseline.optimizer.name}, which says little about it: tune it at B0, and give --lr."
        )
    return ApplicationDefaults(baseline=baseline, epochs=entry.epochs, num_samples=num_train, notes=tuple(notes))


def _schedule(options: RuleOptions, baseline: Baseline | None, lr: float) -> ScheduleSpec:
    """Return the application's schedule, or the default one, with the given options replaced."""
    start = replace(baseline.schedule, peak_lr=lr) if baseline else ScheduleSpec(peak_lr=lr)
    given: dict[str, Any] = {
        name: value
        for name in ("warmup_epochs", "warmup", "warmup_start")
        if (value := getattr(options, name)) is not None
    }
    if options.warmup == "constant":
        given.setdefault("warmup_start", 1.0)  # start at the baseline's own learning rate, as Goyal et al. do
    if options.decay is not None or options.decay_options:
        name = options.decay or start.decay.name
        given["decay"] = DecaySpec(name=name, options=dict(map(_decay_option, options.decay_options or ())))
    return replace(start, **given)


def _decay_option(text: str) -> tuple[str, OptionValue]:
    """Parse NAME=VALUE. VALUE is a number, true, false, or numbers separated or ended by commas."""
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise BadInput(f"--decay-option must be NAME=VALUE, such as power=1 or milestones=10,20,27, got {text!r}")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        if "," in value:
            return name, tuple(float(part) for part in value.split(",") if part.strip())
        return name, int(value) if value.strip().lstrip("+-").isdecimal() else float(value)
    except ValueError:
        raise BadInput(
            f"--decay-option {name}: must be a number, true, false or numbers with commas, got {value!r}"
        ) from None


def _optimizer(options: RuleOptions, entry: Rule, baseline: Baseline | None) -> OptimizerSpec:
    """Return the baseline's optimizer, with all its options if the rule changes them; "adam" if none was named."""
    said = {name: value for name in ("beta1", "beta2", "eps") if (value := getattr(options, name)) is not None}
    if not entry.optimizer_options:
        given = [f"--{name}" for name in ("optimizer", *said) if name != "optimizer" or options.optimizer]
        if given:
            raise BadInput(f"{given[0]} has no effect: rule {options.rule} changes no option of the optimizer")
        return baseline.optimizer if baseline else OptimizerSpec(name="unstated")
    from ....trainers.optimizers import OPTIMIZERS, check_optimizer

    own = baseline.optimizer if baseline else OptimizerSpec(name="adam")
    if options.optimizer is not None and options.optimizer != own.name:
        if baseline and options.lr is None:
            raise BadInput(
                f"--optimizer {options.optimizer}: the baseline of {options.application} was tuned with {own.name}, "
                "whose learning rate says nothing about it: give --lr too"
            )
        own = OptimizerSpec(name=options.optimizer)
    optimizer = OptimizerSpec(name=own.name, options={**own.options, **said})
    lookup("optimizer", OPTIMIZERS, optimizer.name)
    check_optimizer(optimizer)
    return replace(optimizer, options={**OPTIMIZERS[optimizer.name].defaults, **optimizer.options})
