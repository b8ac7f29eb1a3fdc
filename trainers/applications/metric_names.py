"""What a metric's name says of its range and direction, to find scores that contradict it."""

import math
import re

_SHARES = {
    *("acc", "auc", "auprc", "auroc", "dice", "f1", "iou", "jaccard", "miou"),
    *("precision", "recall", "sensitivity", "specificity"),
}
_HIGHER = _SHARES | {"accuracy", "bleu", "kappa", "mcc", "ndcg", "psnr", "r2", "reward", "rouge", "ssim"}
_NOT_NEGATIVE = {"mae", "mape", "mse", "rmse"}
_LOWER = _NOT_NEGATIVE | {
    *("bpc", "brier", "cer", "entropy", "err", "error", "errors", "fid", "logloss", "loss", "nll"),
    *("perplexity", "ppl", "wer"),
}
_OPPOSITE = {"inverse", "inverted", "minus", "neg", "negated", "negative"}


def _words(metric: str) -> set[str]:
    """Return the words of a name; a name that turns its metric round has none.

    >>> sorted(_words("valLoss")), sorted(_words("F1-score (macro)")), _words("1 - error")
    (['loss', 'val'], ['f1', 'macro', 'score'], set())
    """
    words = set(re.findall(r"[a-z]+[0-9]*", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", metric).lower()))
    return set() if words & _OPPOSITE or re.search(r"(^|\b1)\s*-", metric) else words


def is_share(metric: str) -> bool:
    """Return whether a metric is the share of the samples that are right, which is written in percent.

    >>> is_share("accuracy"), is_share("perplexity")
    (True, False)
    """
    return "accuracy" in metric.lower()


def metric_bounds(metric: str, chance_score: float = 0.0) -> tuple[float, float]:
    """Return the least and largest value that a metric of this name can have; infinite where the name says nothing.

    A name that contains "accuracy" is shown in percent, so its values are shares. Other shares may be counted in
    percent, unless `chance_score` says that they are not.

    >>> metric_bounds("accuracy"), metric_bounds("AUROC", 0.5), metric_bounds("F1", 0.0), metric_bounds("rmse")
    ((0.0, 1.0), (0.0, 1.0), (0.0, 100.0), (0.0, inf))
    """
    words = _words(metric)
    least = -math.inf if "adjusted" in words else 0.0
    if words and "accuracy" in metric.lower():
        return least, 1.0
    if words & _SHARES and not words & _LOWER:
        return least, 1.0 if 0 < chance_score <= 1 else 100.0
    if words & {"perplexity", "ppl"}:
        return (-math.inf if "log" in words else 1.0), math.inf
    return (0.0 if words & _NOT_NEGATIVE else -math.inf), math.inf


def bound_problem(metric: str, score: float, chance_score: float = 0.0) -> str | None:
    """Return how a score contradicts its metric's name, in words; None if it does not.

    >>> bound_problem("accuracy", 43.75)
    "is 43.75, but 'accuracy' is at most 1: give a share, not percent or a count"
    """
    low, high = metric_bounds(metric, chance_score)
    slack = 1e-6  # rounding
    if score > high + slack:
        percent = "percent or " if high == 1 else ""
        return f"is {score:g}, but {metric!r} is at most {high:g}: give a share, not {percent}a count"
    if score < low - slack:
        return f"is {score:g}, but {metric!r} is at least {low:g}"
    return None


def direction_remark(metric: str, higher_is_better: bool) -> str | None:
    """Return a remark where `higher_is_better` contradicts what the metric's name usually means; None if it does not.

    >>> direction_remark("accuracy", True), direction_remark("neg_rmse", True)
    (None, None)
    """
    words = _words(metric)
    is_higher, is_lower = bool(words & _HIGHER) or "accuracy" in words, bool(words & _LOWER)
    if is_higher in (is_lower, higher_is_better):
        return None
    usual = "higher" if is_higher else "lower"
    return (
        f"metric: {metric!r} is usually better where it is {usual}, but higher_is_better={higher_is_better}: the "
        f"searches choose the {'highest' if higher_is_better else 'lowest'} value."
    )
