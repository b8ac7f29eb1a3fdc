"""The usual parameter groups of layer-wise optimizers."""

from collections.abc import Iterable
from typing import Any

from torch import nn


def layerwise_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]], *, adapt_vectors: bool
) -> list[dict[str, Any]]:
    """Return the usual parameter groups of a layer-wise optimizer.

    Args:
        named_parameters: the parameters, as from `nn.Module.named_parameters`.
        adapt_vectors: whether biases and normalisation weights (at most one dimension) are adapted like all other
            parameters, as in LARS's Table 2. If not, they form a second group that is neither adapted nor decayed.

    Returns:
        One or two groups, none of them empty.
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
