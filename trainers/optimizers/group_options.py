"""Options of a parameter group: their ranges, and one spelling of Adam's decay rates.

A group holds `betas`, the pair that torch's schedulers change (`OneCycleLR`, `CyclicLR`). `beta1` and `beta2` are
accepted wherever a group is given, and read from checkpoints of earlier versions. This module must not know any rule.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

Check = tuple[Callable[[Any], bool], str]
"""Whether a value is allowed, and the allowed values in words."""

NOT_NEGATIVE: Check = (lambda value: bool(value >= 0), "at least 0")
POSITIVE: Check = (lambda value: bool(value > 0), "above 0")
BELOW_ONE: Check = (lambda value: bool(0 <= value < 1), "at least 0 and below 1")
FRACTION: Check = (lambda value: bool(0 <= value <= 1), "from 0 to 1")

TORCH_RANGES: Mapping[str, Check] = {
    "momentum": NOT_NEGATIVE,
    "beta1": BELOW_ONE,
    "beta2": BELOW_ONE,
    "alpha": FRACTION,
    "rho": FRACTION,
    "eps": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
}
"""Values that torch.optim allows. It also allows alpha above 1, where the averages of squares become negative."""


def pair_betas(options: Mapping[str, Any], default: tuple[float, float] = (0.9, 0.999)) -> dict[str, Any]:
    """Return options with the pair `betas`, as torch.optim has it, in place of `beta1` and `beta2`.

    Args:
        options: options of an optimizer or of a parameter group.
        default: for the one of the two that is left out.

    Raises:
        ValueError: both spellings are given.

    >>> pair_betas({"beta1": 0.8, "eps": 1e-8})
    {'eps': 1e-08, 'betas': (0.8, 0.999)}
    """
    paired = dict(options)
    if "beta1" in paired or "beta2" in paired:
        if "betas" in paired:
            raise ValueError("a parameter group has betas and also beta1 or beta2: give one of the two.")
        paired["betas"] = (paired.pop("beta1", default[0]), paired.pop("beta2", default[1]))
    return paired


def check_group(owner: str, group: Mapping[str, Any], ranges: Mapping[str, Check]) -> None:
    """Check the numbers of a complete group.

    Raises:
        ValueError: the group has no learning rate, or a number is out of its range.
    """
    if group.get("lr") is None:
        raise ValueError(f"{owner}: a parameter group has no lr: give lr to the optimizer, or to every group.")
    if isinstance(group["lr"], Tensor) and group["lr"].numel() != 1:
        raise ValueError(f"{owner}: lr must be one number, got a tensor of shape {tuple(group['lr'].shape)}.")
    numbers = dict(group)
    if "betas" in group:
        numbers["beta1"], numbers["beta2"] = group["betas"]
    for name, (is_allowed, words) in {"lr": NOT_NEGATIVE, **ranges}.items():
        if name in numbers and not is_allowed(numbers[name]):
            raise ValueError(f"{owner}: {name} must be {words}, got {numbers[name]}.")
