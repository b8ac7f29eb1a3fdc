"""The answer of grids of trainings in sentences.

This module must not know rich, plotly or files.
"""

import math
from collections.abc import Sequence
from statistics import median

from ...analysis.learning_rate_answer import GridsAnswer
from ...analysis.learning_rate_rules import REFERENCE_TOKENS, FittedForm
from ...reports.text.format import join_names
from .layout import Layout

RULES_SHOWN = ("constant", "sqrt", "linear")
"""Rules without a constant, which the headline names beside the best."""

FORMULAS = {
    "power": "the learning rate times k^p",
    "surge": "times (sqrt(B0/Bn) + sqrt(Bn/B0)) / (sqrt(B/Bn) + sqrt(Bn/B))",
    "saturating-sqrt": "times sqrt((1 + Bn/B0) / (1 + Bn/B))",
    "saturating": "times (1 + Bn/B0) / (1 + Bn/B)",
}
"""What the rules with a constant do."""

H100_FLOPS = 989e12
H100_SHARE = 0.4
"""Dense bfloat16 peak of an NVIDIA H100 SXM, and the share of it that a training is assumed to use."""


def format_excess(excess: float | None) -> str:
    """Format a loss above the best.

    >>> format_excess(0.00404), format_excess(1.1264), format_excess(math.inf), format_excess(None)
    ('0.0040', '1.13', 'off grid', '')
    """
    if excess is None:
        return ""
    if math.isinf(excess):
        return "off grid"
    return f"{excess:.4f}" if excess < 0.1 else f"{excess:.3g}"


def format_more(share: float | None) -> str:
    """Format a share of more tokens.

    >>> format_more(0.0409), format_more(2.5), format_more(math.inf), format_more(None)
    ('4%', '250%', '> 10x', '')
    """
    if share is None:
        return ""
    return f"{100 * share:.0f}%" if share < 10 else "> 10x"


def format_tokens(tokens: float) -> str:
    """Format tokens or parameters.

    >>> format_tokens(11.4e9), format_tokens(2.15e8), format_tokens(900.0)
    ('11.4B', '215M', '900')
    """
    for size, letter in ((1e9, "B"), (1e6, "M")):
        if tokens >= size:
            return f"{tokens / size:.3g}{letter}"
    return f"{tokens:.3g}"


def rank_rules(answer: GridsAnswer) -> list[str]:
    """Return the rules' names: that within the tolerance most often first, of equal ones that with the lower median."""

    def key(name: str) -> tuple[int, float]:
        losses = answer.verdict(name).losses
        return -losses.within, math.inf if losses.median is None else losses.median

    return sorted((rule.form.name for rule in answer.rules), key=key)


def headline(answer: GridsAnswer, layout: Layout) -> str:
    """Answer in one sentence whether to tune again at B, and say in another what rules without a constant do."""
    question, best = answer.question, rank_rules(answer)[0]
    verdict = answer.verdict(best)
    begin = {"yes": "No", "yes, but": "Probably not"}.get(verdict.kind)
    if begin is None:
        none_is = all(answer.verdict(rule.form.name).kind == "no" for rule in answer.rules)
        begin = "Yes: no rule is good enough" if none_is else "Not shown"
    return (
        f"Tuned at {question.baseline_batch_size:,} {layout.batch_unit}, tune again at {question.batch_size:,}?"
        f" {begin}:"
        f" the rule {best} stays within {_tolerance(answer, layout)} of the best learning rate's loss on"
        f" {_describe(answer, best)}. {_others(answer, best)}"
    )


def _describe(answer: GridsAnswer, rule: str) -> str:
    losses = answer.verdict(rule).losses
    return f"{losses.within} of {len(losses)} grids (median {format_excess(losses.median)} above it)"


def _others(answer: GridsAnswer, best: str) -> str:
    parts = []
    for name in RULES_SHOWN:
        if name != best:
            losses = answer.verdict(name).losses
            parts.append(f"{name} on {losses.within} (median {format_excess(losses.median)})")
    return f"With nothing to fit: {join_names(parts)}."


def _tolerance(answer: GridsAnswer, layout: Layout) -> str:
    return f"{answer.question.tolerance:g} {layout.unit}".strip()


def sentences(answer: GridsAnswer, layout: Layout) -> tuple[str, ...]:
    """Return what else the grids say: where rules end, their constants, what tuning costs, exponents and the limit."""
    return tuple(
        text
        for text in (
            _ends(answer, layout),
            *_constants(answer, layout),
            *_costs(answer, layout),
            *_trends(answer, layout),
        )
        if text
    )


def _ends(answer: GridsAnswer, layout: Layout) -> str:
    """Say up to which batch size the median of each rule is within the tolerance; nothing if none is above B0."""
    ends: dict[int | None, list[str]] = {}
    for rule in answer.rules:
        ends.setdefault(answer.end(rule.form.name), []).append(rule.form.name)
    question = answer.question
    above = [size for size in answer.batch_sizes if size > question.baseline_batch_size]
    if not above:
        return ""
    parts = []
    for end in sorted((end for end in ends if end is not None), reverse=True):
        names = join_names(ends[end])
        parts.append(f"{names} to {end:,}{', the largest batch size' if end == above[-1] else ''}")
    if None in ends:
        parts.append(f"{join_names(ends[None])} not even to {above[0]:,}")
    return (
        f"From {question.baseline_batch_size:,} the median loss stays within {_tolerance(answer, layout)}: "
        f"{'; '.join(parts)}."
    )


def _constants(answer: GridsAnswer, layout: Layout) -> list[str]:
    return [_constant(rule, answer, layout) for rule in answer.rules if rule.constant is not None]


def _constant(rule: FittedForm, answer: GridsAnswer, layout: Layout) -> str:
    low, high = min(rule.held_out.values()), max(rule.held_out.values())
    name, formula = rule.form.name, FORMULAS[rule.form.name]
    if rule.form.constant == "exponent":
        value, ends = f"p = {rule.constant:.3g}", (f"{low:.3g}", f"{high:.3g}")
    else:
        value, ends = f"Bn = {rule.constant:,.0f} {layout.batch_unit}", (f"{low:,.0f}", f"{high:,.0f}")
        if any(grid.tokens for grid in answer.grids):
            value += f" at {format_tokens(REFERENCE_TOKENS)} tokens, as the square root of tokens elsewhere"
    if not answer.is_held_out:
        return f"{name}: {formula}; {value}, fitted on the grids that it is judged on, which flatters it."
    kept = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
    return f"{name}: {formula}; {value} ({kept} with each size in turn left out, which is what it is judged with)."


def _costs(answer: GridsAnswer, layout: Layout) -> list[str]:
    """Say what tuning at B costs, and what the loss that it saves would cost in tokens."""
    if not answer.costs:
        return []
    question, costs = answer.question, answer.costs
    trainings, hours = sorted(cost.trainings for cost in costs), sorted(cost.device_hours for cost in costs)
    assumed = math.isclose(question.device_flops, H100_SHARE * H100_FLOPS)
    rate = f"{question.device_flops / 1e12:,.4g} TFLOP/s a device" + (
        f" (assumed: {H100_SHARE:.0%} of an H100's {H100_FLOPS / 1e12:.0f})" if assumed else " (as stated)"
    )
    text = (
        f"Tuning at {question.batch_size:,} means {_range([str(number) for number in trainings])} trainings a grid, one"
        f" a learning rate: {_range([f'{hour:,.0f}' for hour in hours])} device-hours, median {median(hours):,.0f}, at"
        f" 6 FLOPs a parameter and token and {rate}."
    )
    tokens = sorted(cost.more_tokens for cost in costs if cost.more_tokens is not None)
    excess = median(cost.excess for cost in costs)
    if tokens and math.isfinite(excess):
        text += (
            f" Against keeping the learning rate it saves {format_excess(excess)} {layout.unit}".rstrip()
            + f" (median), which {format_more(median(tokens))} more tokens in one training would also save"
            f" (median; {_range([format_more(share) for share in tokens])})."
        )
    return [text]


def _range(texts: Sequence[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def _trends(answer: GridsAnswer, layout: Layout) -> list[str]:
    found = []
    slopes = sorted(one.mean for one in answer.exponents.values())
    if (mean := answer.mean_exponent) is not None and mean.low is not None:
        found.append(
            f"The best learning rate grows as B^{mean.mean:.2f} on average over {len(slopes)} grids (95% interval"
            f" {mean.low:.2f} to {mean.high:.2f}; by grid {slopes[0]:.2f} to {slopes[-1]:.2f}){_by_tokens(answer)}."
        )
    power, at = answer.largest_power, answer.largest_at_reference
    if power is not None and at is not None:
        found.append(
            "The batch itself costs beyond some size: the largest whose own best is within"
            f" {_tolerance(answer, layout)} of"
            f" the best batch's grows as tokens^{power.mean:.2f} (95% interval {power.low:.2f} to {power.high:.2f})"
            " and is"
            f" {at:,.0f} {layout.batch_unit} at {format_tokens(REFERENCE_TOKENS)} tokens."
        )
    return found


def _by_tokens(answer: GridsAnswer) -> str:
    """Return the median exponents of the thirds of the grids by tokens."""
    parts = []
    for low, high in sorted({group for _, group in answer.by_tokens}):
        grids = [grid for grid in answer.grids if grid.tokens and low <= grid.tokens <= high]
        found = [answer.exponents[grid.name].mean for grid in grids if grid.name in answer.exponents]
        if found:
            parts.append(f"{median(found):.2f} with {format_tokens(low)} to {format_tokens(high)} tokens")
    return f"; median {', '.join(parts)}" if parts else ""


def notes(answer: GridsAnswer, layout: Layout) -> tuple[str, ...]:
    """Return how it was found, and what a reader must know to trust it."""
    curves = [curve for grid in answer.grids for curve in grid.curves.values()]
    flagged = [curve.flag for curve in curves if curve.flag]
    left_out = (
        f" At {len(flagged)} of {len(curves)} batch sizes of grids it is unknown and they are left out: the best is"
        " the lowest"
        f" ({flagged.count('lowest')}) or highest ({flagged.count('highest')}) learning rate that was tried, or a"
        " neighbour"
        f" collapsed ({flagged.count('cliff')})."
        if flagged
        else ""
    )
    return (
        *([layout.note] if layout.note else []),
        "Best learning rate: the minimum of the parabola in log(lr) through the best training and its two neighbours."
        f"{left_out}",
        "A rule starts from the best at B0. Its loss at B is read off that parabola between its ends, elsewhere"
        " linearly in"
        " log(lr); outside the grid (off grid) it counts as lost, and is never extrapolated.",
        "Verdict: the exact sign test over grids, whether the loss is within the tolerance on more than half of all"
        " such"
        " grids; yes and no count the rules at that batch size (Holm, 5%), yes, but is one comparison at 12.5%."
        " Student's t"
        " is not used: losses above a minimum are skewed. One training a cell says nothing alone; grids of one model"
        " size"
        " may be more alike than others.",
        "More tokens: by the slope of the lowest loss in log(tokens) between the neighbouring amounts at the same size."
        " A curve flattens as tokens grow, so that a large loss takes more than this says.",
    )
