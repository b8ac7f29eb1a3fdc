"""An optimizer over K stacked models of the same architecture, each with its own learning rate.

The update rules are those of single models (`MultiTensorOptimizer`), applied to tensors (K, ...) instead of (...). This
module must not know how the models are trained.

Shape suffixes: K models.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..spec import OptimizerSpec
from . import build_optimizer
from .base_solvers import BASE_SOLVERS
from .multi_tensor import MultiTensorOptimizer
from .parameter_free import PARAMETER_FREE


def can_be_stacked(spec: OptimizerSpec) -> bool:
    """Whether `stacked_optimizer` supports the solver: all but those that set their own learning rate.

    >>> can_be_stacked(OptimizerSpec(name="date")), can_be_stacked(OptimizerSpec(name="prodigy"))
    (True, False)
    """
    return _layerwise_spec(spec) is not None


def stacked_optimizer(
    spec: OptimizerSpec, model: nn.Module, stacked: Mapping[str, nn.Parameter]
) -> MultiTensorOptimizer:
    """Build the optimizer that a spec names, over K models; `set_learning_rates` sets each model's learning rate.

    Args:
        spec: a name in `OPTIMIZERS` and options, the same for all models.
        model: one of them, or their copy on the meta device; its parameters determine the groups.
        stacked: name -> parameters (K, ...), for every trained parameter of `model`.

    Raises:
        ValueError: the solver cannot be stacked, or `build_optimizer` rejects an option.
    """
    layerwise = _layerwise_spec(spec)
    if layerwise is None:
        raise ValueError(f"optimizer {spec.name!r} sets its own learning rate: it cannot step stacked models.")
    named = [(name, parameter) for name, parameter in model.named_parameters() if name in stacked]
    optimizer = build_optimizer(layerwise, named, lr=0.0)
    assert isinstance(optimizer, MultiTensorOptimizer)
    names = {parameter: name for name, parameter in named}
    for group in optimizer.param_groups:
        group["params"] = [stacked[names[parameter]] for parameter in group["params"]]
        group["stacked"] = group["capturable"] = True
    return optimizer


def set_learning_rates(optimizer: MultiTensorOptimizer, lr_1K: Tensor) -> None:
    """Set the learning rate of every model's next step, (1, K)."""
    for group in optimizer.param_groups:
        group["lr"] = lr_1K


def keep_models(optimizer: MultiTensorOptimizer, kept: Tensor) -> None:
    """Remove all models but those at positions `kept`, (num_kept,), from parameters and solver's state, in place."""
    with torch.no_grad():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.data = parameter.data[kept]
                parameter.grad = None
                state = optimizer.state[parameter]
                for name, value in state.items():
                    if value.ndim:  # the step count has none: all models share it
                        state[name] = value[kept]


def _layerwise_spec(spec: OptimizerSpec) -> OptimizerSpec | None:
    """Return the solver as a `MultiTensorOptimizer`; torch's own become the ratio 1 over their base solver."""
    name = "nesterov" if spec.name == "momentum" and spec.options.get("nesterov") else spec.name
    if name in BASE_SOLVERS:
        options = {key: value for key, value in spec.options.items() if key != "nesterov"}
        return OptimizerSpec(name=f"layerwise-{name}", options={**options, "ratio_low": 1.0, "ratio_high": 1.0})
    return None if name in PARAMETER_FREE else spec
