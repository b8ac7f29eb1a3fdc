"""The parameter groups that layer-wise optimizers are usually given."""

from collections.abc import Iterable
from typing import Any

from torch import nn


def layerwise_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]], *, adapt_vectors: bool
) -> list[dict[str, Any]]:
    """The usual parameter groups of a layer-wise optimizer.

    Args:
        named_parameters: as `nn.Module.named_parameters` gives them.
        adapt_vectors: whether biases and normalisation weights (at most one dimension) are adapted like all others, as
            in LARS's Table 2; if not, they stand in a group of their own, neither adapted nor decayed.

    Returns:
        One group, or two; an empty one is left out.
    """
    parameters = [parameter for _, parameter in named_parameters]
    if adapt_vectors:
        return [{"params": parameters}]
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1]},
        {
            "params": [parameter for parameter in parameters if parameter.ndim <= 1],
            "layerwise": False,
            "weight_decay": 0.0,
        },
    ]
    return [group for group in groups if group["params"]]
