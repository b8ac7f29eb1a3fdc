"""Batch-size scaling rules: from a baseline tuned at batch size B0 to the configuration for batch size B.

With k = B / B0, the baseline's peak learning rate lr0 and its w0 epochs of warm-up, the rules are

    rule            peak learning rate   warm-up epochs   changes besides
    constant        lr0                  w0
    linear          k lr0                w0
    linear-warmup   k lr0                5
    sqrt            sqrt(k) lr0          w0
    legw            sqrt(k) lr0          k w0
    date            sqrt(k) lr0          k w0             decay: `date`
    adam-sde        sqrt(k) lr0          k w0             1 - beta1 and 1 - beta2 times k, eps over sqrt(k)
    power           k^p lr0              w0               p is stated
    surge           levels off at Bn     k w0             Bn, the noise batch size, is stated
    saturating      levels off at Bn     k w0             the same

The last three are in `trainers.batch_factors`.
Every rule also scales down, k < 1 (LEGW 3.3). `RULES` gives the source of each. This module is pure maths, without
torch. It must not know what is trained, who asks, or the defaults of an optimizer's options.

The worked example of DATE 3.6, LeNet on MNIST from batch size 1,024 to 8,192:

>>> from zerotune.trainers.spec import Baseline, OptimizerSpec, ScheduleSpec
>>> schedule = ScheduleSpec(peak_lr=1.25e-3, warmup_epochs=2)
>>> baseline = Baseline(batch_size=1024, schedule=schedule, optimizer=OptimizerSpec(name="date"))
>>> scaled = scale("date", baseline, batch_size=8192, epochs=30)
>>> f"{scaled.schedule.peak_lr:.3g} {scaled.schedule.warmup_epochs:g} {scaled.schedule.decay.name}"
'0.00354 16 date'
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from .batch_factors import power_factor, saturating_factor, surge_factor
from .spec import Baseline, Configuration, DecaySpec, OptimizerSpec, ScheduleSpec
from .tables import lookup

OnLongWarmup = Literal["error", "clamp", "keep"]
"""What to do if a warm-up is as long as the run: raise `WarmupTooLong`, shorten it to half the run, or keep it."""

GOYAL_WARMUP_EPOCHS = 5.0
"""Epochs of warm-up at every batch size, as was usual before LEGW (Goyal et al., arXiv 1706.02677, Section 2.2)."""


class WarmupTooLong(ValueError):
    """The warm-up is as long as the run or longer, so that the peak learning rate is never reached."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A scaling rule.

    Attributes:
        peak_factor: function k -> peak learning rate / lr0. It also takes the rule's numbers by name; of a noise batch
            size the ratio Bn / B0, as `noise_ratio`.
        numbers: numbers besides k that the rule needs, by name, with their defaults; None where one must be stated.
        warmup_epochs: function (w0, k) -> epochs of warm-up.
        decay: decay that the rule prescribes; None to keep the baseline's. A baseline whose decay has the same name
            keeps its own options.
        optimizer: function (baseline's optimizer, k) -> optimizer with changed options; None to keep the baseline's.
            Raises ValueError if the rule does not apply to that optimizer or k.
        optimizer_options: names of the options that `optimizer` changes.
        wants_ratio: whether the rule is one for solvers with a layer-wise ratio.
        description: one line, for `zerotune list`.
        source: paper and section.
    """

    peak_factor: Callable[..., float]
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    warmup_epochs: Callable[[float, float], float]
    decay: DecaySpec | None = None
    optimizer: Callable[[OptimizerSpec, float], OptimizerSpec] | None = None
    optimizer_options: tuple[str, ...] = ()
    wants_ratio: bool = False
    description: str
    source: str


ADAM_OPTIONS = ("beta1", "beta2", "eps")


def _adam_sde(optimizer: OptimizerSpec, k: float) -> OptimizerSpec:
    """Scale Adam's options by k: both moments average over as many samples as before, with the same amount of noise."""
    missing = [name for name in ADAM_OPTIONS if name not in optimizer.options]
    if missing:
        raise ValueError(
            f"it changes beta1, beta2 and eps, but optimizer {optimizer.name!r} states no {missing[0]}: take an"
            " optimizer that has all three, such as adam, and state them in the baseline"
        )
    beta1, beta2, eps = (_numeric_option(optimizer, name) for name in ADAM_OPTIONS)
    scaled = {"beta1": 1.0 - k * (1.0 - beta1), "beta2": 1.0 - k * (1.0 - beta2), "eps": eps / math.sqrt(k)}
    for name, beta in (("beta1", beta1), ("beta2", beta2)):
        if k > 1.0 and scaled[name] < 1e-9:  # 1 - 10 (1 - 0.9) is not 0 but 2e-16
            raise ValueError(
                f"1 - {name} is {1.0 - beta:.4g} in the baseline and would be {k * (1.0 - beta):.4g}, but must stay"
                f" below 1: k must be below {1.0 / (1.0 - beta):.4g}, and is {k:.4g}"
            )
    return replace(optimizer, options={**optimizer.options, **scaled})


def _numeric_option(optimizer: OptimizerSpec, name: str) -> float:
    value = optimizer.options[name]
    if isinstance(value, bool) or not isinstance(value, float | int):
        raise ValueError(f"optimizer {optimizer.name!r}: option {name!r} must be a finite number, got {value!r}")
    return float(value)


RULES: dict[str, Rule] = {
    "constant": Rule(
        peak_factor=lambda k: 1.0,
        warmup_epochs=lambda w0, k: w0,
        description="the baseline's own learning rate and warm-up",
        source="DATE Fig. 15.1",
    ),
    "linear": Rule(
        peak_factor=lambda k: k,
        warmup_epochs=lambda w0, k: w0,
        description="learning rate times k",
        source="Krizhevsky, arXiv 1404.5997; DATE Fig. 15.2",
    ),
    "linear-warmup": Rule(
        peak_factor=lambda k: k,
        warmup_epochs=lambda w0, k: GOYAL_WARMUP_EPOCHS,
        description="learning rate times k, 5 epochs of warm-up",
        source=(
            "Goyal et al., arXiv 1706.02677, Section 2; with a baseline that decays as poly 2, DATE Fig. 15.4."
            " A baseline with `warmup_start: 1` starts at lr0, as Goyal et al. do"
        ),
    ),
    "sqrt": Rule(
        peak_factor=math.sqrt,
        warmup_epochs=lambda w0, k: w0,
        description="learning rate times sqrt(k)",
        source="DATE 2.4",
    ),
    "legw": Rule(
        peak_factor=math.sqrt,
        warmup_epochs=lambda w0, k: k * w0,
        description="learning rate times sqrt(k), warm-up epochs times k",
        source="LEGW, arXiv 1901.08256v1, Section 3",
    ),
    "date": Rule(
        peak_factor=math.sqrt,
        warmup_epochs=lambda w0, k: k * w0,
        decay=DecaySpec(name="date"),
        wants_ratio=True,
        description="as legw, then a linear decay to the floor (roller coaster)",
        source="DATE Algorithm 1; a baseline with the decay `date` and its options keeps them (`floor`, `as_printed`)",
    ),
    "adam-sde": Rule(
        peak_factor=math.sqrt,
        warmup_epochs=lambda w0, k: k * w0,
        optimizer=_adam_sde,
        optimizer_options=ADAM_OPTIONS,
        description="as legw, and for Adam 1-beta1 and 1-beta2 times k, eps over sqrt(k)",
        source=(
            "Malladi et al., arXiv 2205.10287, the square root scaling rule for Adam. Differs from it in keeping the"
            " number of warm-up iterations, as legw, where a schedule in its continuous time keeps the epochs"
        ),
    ),
    "power": Rule(
        peak_factor=power_factor,
        numbers={"exponent": None},
        warmup_epochs=lambda w0, k: w0,
        description="learning rate times k^p, p stated (exponent)",
        source="our own; p fitted to past trainings by `zerotune grids`: 0.225 on the language models of Step Law",
    ),
    "surge": Rule(
        peak_factor=surge_factor,
        numbers={"noise_batch_size": None},
        warmup_epochs=lambda w0, k: k * w0,
        description="as legw below a stated noise batch size, above it the learning rate falls",
        source="Li et al., arXiv 2405.14578, for Adam; tested on the language models of Step Law (AdamW)",
    ),
    "saturating": Rule(
        peak_factor=saturating_factor,
        numbers={"noise_batch_size": None, "exponent": 1.0},
        warmup_epochs=lambda w0, k: k * w0,
        description="learning rate times ((1 + Bn/B0) / (1 + Bn/B))^a, levels off at a stated noise batch size Bn",
        source=(
            "McCandlish et al., arXiv 1812.06162 (a = 1, for SGD); tested on the language models of Step"
            " Law (AdamW, a = 1 and 1/2)"
        ),
    ),
}
"""Scaling rules by name. A rule that is added here can be named in studies, and `zerotune list` shows it."""


def scale(
    rule: str,
    baseline: Baseline,
    *,
    batch_size: int,
    epochs: int,
    on_long_warmup: OnLongWarmup = "error",
    numbers: Mapping[str, float] | None = None,
) -> Configuration:
    """Scale a baseline to another batch size. Nothing is tuned.

    Args:
        rule: name in `RULES`.
        baseline: configuration tuned at batch size B0. It must state the optimizer options that the rule changes.
        batch_size: B, samples of a weight update, >= 1.
        epochs: E, epochs of the run, >= 1.
        on_long_warmup: what to do if the rule's warm-up is E epochs or longer: "error", "clamp" (to E/2 epochs) or
            "keep".
        numbers: what `Rule.numbers` of the rule names: "exponent", finite, or "noise_batch_size", samples, > 0.

    Returns:
        The configuration at batch size B. What the rule leaves alone is the baseline's.

    Raises:
        UnknownName: `RULES` has no such rule.
        WarmupTooLong: the warm-up is E epochs or longer and `on_long_warmup` is "error".
        ValueError: a batch size or `epochs` is below 1, `on_long_warmup` is none of the three, a number that the rule
            needs is missing, out of its range or none of the rule's, or the rule does not apply to the baseline's
            optimizer.
    """
    entry = lookup("rule", RULES, rule)
    sizes = (("batch_size", batch_size), ("the baseline's batch_size", baseline.batch_size), ("epochs", epochs))
    for name, value in sizes:
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    lookup("on_long_warmup", {"error": None, "clamp": None, "keep": None}, on_long_warmup)
    k = batch_size / baseline.batch_size
    factor = entry.peak_factor(k, **_factor_numbers(rule, entry, numbers or {}, baseline.batch_size))
    warmup_epochs = entry.warmup_epochs(baseline.schedule.warmup_epochs, k)
    if warmup_epochs >= epochs and on_long_warmup == "error":
        raise WarmupTooLong(
            f"rule {rule!r} at batch size {batch_size}: its warm-up of {warmup_epochs:g} epochs would outlast the run"
            f" of {epochs} epochs; train longer, choose a smaller batch size, or set on_long_warmup to 'clamp'"
            f" ({epochs / 2:g} epochs) or 'keep'."
        )
    if warmup_epochs >= epochs and on_long_warmup == "clamp":
        warmup_epochs = epochs / 2
    try:
        optimizer = entry.optimizer(baseline.optimizer, k) if entry.optimizer else baseline.optimizer
    except ValueError as error:
        raise ValueError(f"rule {rule!r} at batch size {batch_size}: {error}.") from None
    schedule = _scale_schedule(entry, baseline.schedule, factor, warmup_epochs)
    return replace(baseline, batch_size=batch_size, schedule=schedule, optimizer=optimizer)


def _factor_numbers(rule: str, entry: Rule, stated: Mapping[str, float], baseline_batch_size: int) -> dict[str, float]:
    """Return the numbers of a rule as its factor takes them."""
    found: dict[str, float] = {}
    for name, default in entry.numbers.items():
        value = stated.get(name, default)
        if value is None:
            raise ValueError(f"rule {rule!r} needs {name}: state it beside the rule")
        if not math.isfinite(value) or (name == "noise_batch_size" and value <= 0):
            positive = "positive and " if name == "noise_batch_size" else ""
            raise ValueError(f"rule {rule!r}: {name} must be {positive}finite, got {value!r}")
        found[name] = value
    if unknown := [name for name in stated if name not in entry.numbers]:
        takes = ", ".join(entry.numbers) or "no number besides the baseline"
        raise ValueError(f"rule {rule!r}: {unknown[0]} has no effect; it takes {takes}")
    if "noise_batch_size" in found:
        found["noise_ratio"] = found.pop("noise_batch_size") / baseline_batch_size
    return found


def rule_remarks(rule: str, baseline: Baseline, *, has_ratio: bool | None) -> tuple[str, ...]:
    """Return sentences on what a rule does less for a baseline than its name says.

    Args:
        rule: name in `RULES`.
        baseline: configuration tuned at batch size B0.
        has_ratio: whether the optimizer that is trained with has a layer-wise ratio; None if it is not known.

    >>> schedule = ScheduleSpec(peak_lr=0.1)
    >>> baseline = Baseline(batch_size=32, schedule=schedule, optimizer=OptimizerSpec(name="adam"))
    >>> rule_remarks("sqrt", baseline, has_ratio=False)
    ()
    >>> len(rule_remarks("date", baseline, has_ratio=False))
    2
    """
    entry, remarks = lookup("rule", RULES, rule), []
    if not baseline.schedule.warmup_epochs and entry.warmup_epochs(1.0, 2.0) == 2.0:
        as_sqrt = "" if entry.numbers else ", and the peak learning rate is that of the rule 'sqrt'"
        remarks.append(
            f"rule {rule!r} multiplies the baseline's warm-up by k, and this baseline has none (warmup_epochs 0): there"
            f" is no warm-up at any batch size{as_sqrt}. Tune and state the baseline's warm-up in epochs."
        )
    if entry.wants_ratio and has_ratio is False:
        remarks.append(
            f"rule {rule!r} is for a solver with a layer-wise ratio (DATE, Algorithm 1, lines 10 to 17), and optimizer"
            f" {baseline.optimizer.name!r} has none: only the schedule is DATE's. Tune the optimizer 'date' at the"
            " baseline's batch size and take it, or say that these are results of the schedule alone."
        )
    return tuple(remarks)


def _scale_schedule(entry: Rule, baseline: ScheduleSpec, factor: float, warmup_epochs: float) -> ScheduleSpec:
    """Return the baseline's schedule with the rule's peak, warm-up and decay.

    The warm-up starts at the same learning rate as the baseline's, not at the same fraction of the peak. With
    `warmup_start` 1 that is lr0 (Goyal et al., Section 2.2, both forms). Below B0 it is at most the peak.
    """
    # A rule may bring a warm-up where the baseline has none.
    warmup = "linear" if baseline.warmup == "none" and warmup_epochs else baseline.warmup
    own_decay = entry.decay if entry.decay is not None and entry.decay.name != baseline.decay.name else None
    return replace(
        baseline,
        peak_lr=baseline.peak_lr * factor,
        warmup_epochs=warmup_epochs,
        warmup=warmup,
        warmup_start=min(1.0, baseline.warmup_start / factor),
        decay=own_decay or baseline.decay,
    )
