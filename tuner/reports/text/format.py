"""How scores, costs and findings are put in words: shared by tables and figures, so that they say the same.

This module must not know rich or plotly; names come out as they went in, and whoever draws them escapes them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ....trainers.spec import OptionValue
from ...analysis.comparison import Comparison, ComparisonRow, StudyFacts
from ...analysis.evidence import Interval
from ...analysis.matching import TuningEffort
from ...analysis.selection import Edge
from ...cost import Cost

_LABELS = {
    "trials": "trainings",
    "epochs": "epochs",
    "iterations": "iterations",
    "samples": "samples",
    "flops": "FLOPs",
    "device_seconds": "device-seconds",
    "modelled_joules": "J (modelled)",
}
_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"))


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit to show a currency in: shown value = value / `size`."""

    label: str
    size: float


def cost_unit(currency: str, amounts: Iterable[float]) -> Unit:
    """The unit of a currency; large counts of operations take a prefix, so that numbers stay short.

    >>> cost_unit("flops", [3e13, 2e12]).label
    'TFLOPs'
    """
    largest = max(amounts, default=0.0)
    if currency == "flops":
        for size, prefix in _PREFIXES:
            if largest >= size:
                return Unit(label=f"{prefix}FLOPs", size=size)
    return Unit(label=_LABELS[currency], size=1.0)


def amount_text(amount: float) -> str:
    """A cost to three digits where it is small, whole where it is large.

    >>> amount_text(1.0), amount_text(12.345), amount_text(0.01234), amount_text(12345.6)
    ('1', '12.3', '0.0123', '12,346')
    """
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


def is_share(metric: str) -> bool:
    """Whether a metric is a share of one, written in percent.

    >>> is_share("accuracy"), is_share("perplexity")
    (True, False)
    """
    return "accuracy" in metric.lower()


def score_text(score: float, metric: str) -> str:
    """A score as the metric is usually written: accuracies in percent.

    >>> score_text(0.952, "accuracy"), score_text(116.23, "perplexity")
    ('95.20%', '116.2')
    """
    return f"{100 * score:.2f}%" if is_share(metric) else f"{score:,.{_decimals(score)}f}"


def _decimals(score: float) -> int:
    """Decimals that show four digits of a score."""
    return max(0, 3 - math.floor(math.log10(abs(score)))) if score else 3


def spread_text(interval: Interval, metric: str) -> str:
    """A mean with the half-width of its interval, where it has one.

    >>> spread_text(Interval(mean=0.952, low=0.949, high=0.955), "accuracy")
    '95.20% ± 0.30'
    """
    if interval.high is None:
        return score_text(interval.mean, metric)
    width = interval.high - interval.mean
    shown = f"{100 * width:.2f}" if is_share(metric) else f"{width:,.{_decimals(interval.mean)}f}"
    return f"{score_text(interval.mean, metric)} ± {shown}"


def points_text(difference: float, metric: str, *, signed: bool = True) -> str:
    """A difference of scores; accuracies in percentage points.

    >>> points_text(-0.0082, "accuracy")
    '-0.82 points'
    """
    sign = "+" if signed else ""
    return f"{100 * difference:{sign}.2f} points" if is_share(metric) else f"{difference:{sign}.3g}"


def share_text(share: float) -> str:
    """A saving in percent; rounded towards less, so that 99.9% never reads as all.

    >>> share_text(0.9999), share_text(-0.254)
    ('99%', '-25%')
    """
    return f"{int(100 * share + 1e-9)}%"


def loss_text(share: float) -> str:
    """A saving below zero, said as what it costs more.

    >>> loss_text(-0.254), loss_text(-0.004)
    ('25% more', 'less than 1% more')
    """
    return f"{share_text(-share) if share <= -0.01 else 'less than 1%'} more"


def counted(number: float, word: str) -> str:
    """A number with its word, plural where it is not one.

    >>> counted(1, "training"), counted(13, "training")
    ('1 training', '13 trainings')
    """
    return f"{amount_text(number)} {word}{'' if number == 1 else 's'}"


def taken_over_text(taken_over: Cost) -> str:
    """What stands beside a bill where results were taken over; empty where none was.

    >>> taken_over_text(Cost(trials=2, device_seconds=12.5))
    '2 trainings taken over from earlier ones, worth 12.5 device-seconds.'
    """
    if not taken_over.trials:
        return ""
    trainings = counted(taken_over.trials, "training")
    return f"{trainings} taken over from earlier ones, worth {amount_text(taken_over.device_seconds)} device-seconds."


def at_equal_verdict(row: ComparisonRow) -> bool:
    """Whether the arm does at least as well as the reference, so that what it saves is a saving and not a loss."""
    return row.verdict is not None and row.verdict.finding in ("beats", "matches")


def headlines(comparison: Comparison, batch_size: int, *, cost: str = "device_seconds") -> tuple[str, ...]:
    """The answer at a batch size: one sentence a zero-tuning arm; where a study has none, one for every other arm.

    None is singled out by its test score, since that would be a choice on the test set.
    """
    facts = comparison.facts
    others = [arm for arm in facts.arms if arm != facts.reference]
    arms = [arm for arm in others if arm in facts.zero_tuning_arms] or others
    return tuple(_headline(comparison, comparison.row(arm, batch_size), cost) for arm in arms)


def _headline(comparison: Comparison, row: ComparisonRow, cost: str) -> str:
    facts = comparison.facts
    reference = comparison.row(facts.reference, row.batch_size)
    start = f"At B={row.batch_size} {row.arm}"
    missing = next((other for other in (row, reference) if other.score is None), None)
    if row.verdict is None or row.score is None or reference.score is None:
        return f"{start} cannot be judged: {missing.arm if missing else row.arm} has no confirmed score."
    scores = f"{score_text(row.score.mean, facts.metric)} vs {score_text(reference.score.mean, facts.metric)}"
    finding = row.verdict.finding
    if finding == "undecided":
        return f"{start} is undecided: {scores}, {_why_undecided(row, facts)}."
    if finding == "falls short":
        return f"{start} falls short of {reference.arm} ({scores}){_diverged_text(row)}."
    return f"{start} {finding} {reference.arm} ({scores}) and {_bill_text(comparison, row, reference, cost)}."


def _why_undecided(row: ComparisonRow, facts: StudyFacts) -> str:
    verdict = row.verdict
    if verdict is None or verdict.difference is None or verdict.difference.low is None:
        pairs = verdict.num_pairs if verdict else 0
        return f"{counted(pairs, 'common seed')} {'gives' if pairs == 1 else 'give'} no interval"
    if row.num_diverged:
        return f"{row.num_diverged} of {counted(row.num_seeds, 'seed')} diverged"
    low, high = (points_text(end or 0.0, facts.metric) for end in (verdict.difference.low, verdict.difference.high))
    tolerance = points_text(verdict.tolerance, facts.metric, signed=False)
    return f"{low.removesuffix(' points')} to {high} ({tolerance.removesuffix(' points')} tolerated)"


def _diverged_text(row: ComparisonRow) -> str:
    return f"; {row.num_diverged} of {counted(row.num_seeds, 'seed')} diverged" if row.num_diverged else ""


def _bill_text(comparison: Comparison, row: ComparisonRow, reference: ComparisonRow, cost: str) -> str:
    if row.bill is None or reference.bill is None or cost not in row.savings:
        return "has no bill to compare"
    unit, saving = cost_unit(cost, []).label, row.savings[cost]
    trainings = f"costs {counted(row.bill['trials'], 'training')} instead of {amount_text(reference.bill['trials'])}"
    if saving.share < 0:
        return f"{trainings}: {loss_text(saving.share)} {unit}"
    text = f"{trainings}: {share_text(saving.share)} of {unit} saved"
    if not row.zero_tuning:
        return text
    if row.baseline_bill[cost] == 0:
        return f"{text}; the baseline was stated, so its tuning is not billed"
    paid_off = f" (paid off after {counted(saving.break_even, 'batch size')})" if saving.break_even else ""
    if saving.share_with_baseline < 0:
        return f"{text}, but {loss_text(saving.share_with_baseline)} with the baseline's bill{paid_off}"
    return f"{text}, {share_text(saving.share_with_baseline)} with the baseline's bill{paid_off}"


def trials_text(effort: TuningEffort | None) -> str:
    """K* as a table shows it; empty where there is nothing to match."""
    if effort is None:
        return ""
    return f">{effort.num_trials}" if effort.trials is None else str(effort.trials)


def edge_text(edge: Edge) -> str:
    """The warning that a search may have ended too early.

    >>> edge_text(Edge(arm="tuned", batch_size=512, name="lr", value=0.98, low=0.01, high=1.0))
    'On the edge: tuned at B=512 chose lr 0.98 of 0.01 to 1; a better value may lie outside, so widen its range.'
    """
    return (
        f"On the edge: {edge.arm} at B={edge.batch_size} chose {edge.name} {edge.value:.4g} of {edge.low:g} to "
        f"{edge.high:g}; a better value may lie outside, so widen its range."
    )


def finding(comparison: Comparison) -> str:
    """The whole study in one line: at how many batch sizes each zero-tuning arm does as well as the reference."""
    facts = comparison.facts
    others = [arm for arm in facts.arms if arm != facts.reference]
    arms_by_number: dict[int, list[str]] = {}
    for arm in [arm for arm in others if arm in facts.zero_tuning_arms] or others:
        num_equal = sum(at_equal_verdict(comparison.row(arm, batch_size)) for batch_size in facts.batch_sizes)
        arms_by_number.setdefault(num_equal, []).append(arm)
    if not arms_by_number:
        return f"{facts.reference} stands alone: nothing to compare it with"
    num_sizes = len(facts.batch_sizes)
    all_of_them = "both" if num_sizes == 2 else f"all {num_sizes}"
    every = f"at B={facts.batch_sizes[0]}" if num_sizes == 1 else f"at {all_of_them} batch sizes"
    parts: list[str] = []
    for number, arms in sorted(arms_by_number.items(), reverse=True):
        where = every if number == num_sizes else f"at {number} of {num_sizes}"
        start = where if parts else f"As good as {facts.reference} {where}"
        if number == 0:
            start = f"{'not' if parts else 'Not'} shown to be as good as {facts.reference}"
        parts.append(f"{start}: {', '.join(arms)}")
    return "; ".join(parts)


def cost_title(unit: Unit, what: str) -> str:
    """The title of a cost axis.

    >>> cost_title(Unit(label="TFLOPs", size=1e12), "cost to a model")
    'cost to a model (TFLOPs)'
    """
    return f"{what} ({unit.label})"


def score_title(metric: str, split: str, *, higher_is_better: bool) -> str:
    """The title of a score axis, with its direction where it is the less usual one.

    >>> score_title("perplexity", "test", higher_is_better=False)
    'test perplexity (lower is better)'
    """
    return f"{split} {metric}" + ("" if higher_is_better else " (lower is better)")


def short_number(value: float) -> str:
    """Four significant digits, without noise: 0.003536, 64, 1.28e+06.

    >>> short_number(0.0035355339), short_number(64.0)
    ('0.003536', '64')
    """
    return f"{value:.4g}"


def short_params(params: Mapping[str, OptionValue]) -> str:
    """Hyperparameters in one short line.

    >>> short_params({"lr": 0.1, "decay": "poly"})
    'lr=0.1 decay=poly'
    """
    return " ".join(f"{k}={short_number(v) if isinstance(v, float) else v}" for k, v in params.items())


def duration(seconds: float) -> str:
    """A time span as a person says it.

    >>> duration(4.21), duration(125), duration(7500)
    ('4.2 s', '2 min 05 s', '2 h 05 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def lr_text(lr: float) -> str:
    """A learning rate to three digits, as one would type it.

    >>> lr_text(1.25e-3), lr_text(0.05), lr_text(5.656854), lr_text(1e-6), lr_text(0.0)
    ('1.25e-3', '0.05', '5.66', '1e-6', '0')
    >>> lr_text(999.7), lr_text(12_345.0)
    ('1e3', '1.23e4')
    """
    if lr == 0.0 or 0.01 <= lr < 999.5:  # beyond, three digits need an exponent
        return f"{lr:.3g}"
    digits, exponent = f"{lr:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


def epochs_text(epochs: float) -> str:
    """Epochs in words, as many digits as there are to say.

    >>> epochs_text(1.0), epochs_text(0.3125)
    ('1 epoch', '0.3125 epochs')
    """
    return f"{epochs:.5g} epoch{'' if epochs == 1 else 's'}"
