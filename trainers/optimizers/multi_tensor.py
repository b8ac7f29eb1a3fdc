"""What every layer-wise optimizer here needs of a step: its tensors in lists, their norms, and a factor a layer.

A step is taken in one of three ways, by the option `foreach` of the group:

- True, and None on GPUs: all layers at once by `torch._foreach_*`; every per-layer number is a tensor on the device.
  With `capturable`, and in `torch.compile`, nothing is read back to the host.
- False: the same rule layer by layer, in plain operations; a layer's number is a float. The reference.
- None on CPUs: layer by layer too, each in one pass over the memory by torch's fused kernel, where the rule has one.

A layer is a parameter tensor. This module must not know any update rule.

Shapes: `_L` one entry a layer; lists hold one tensor a layer, of that layer's own shape.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

SURELY_FINITE = 65_504.0
"""The largest number of float16, below that of every other dtype."""

LayerValues = float | Tensor
"""A number for each layer: a float where it is the same for all of a bucket's layers, else a tensor of shape `_L`."""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Layers of a parameter group that share a device and a dtype and have a gradient; or one of them.

    Attributes:
        params: the weights.
        grads: their gradients, negated where the group maximises; not to be changed in place.
        states: the optimizer's state tensors of each by name, to be changed in place.
        steps: t of each layer, this step included: floats, or `_L` on the device where nothing may be read back;
            empty where the rule does not count.
        at_once: whether per-layer numbers are tensors `_L`; else this is one layer, and they are floats.
    """

    params: list[Tensor]
    grads: list[Tensor]
    states: list[dict[str, Tensor]]
    steps: Sequence[float] | Tensor
    at_once: bool

    def state_tensors(self, name: str) -> list[Tensor]:
        """The state `name` of every layer."""
        return [state[name] for state in self.states]

    def layers(self) -> Iterator["Bucket"]:
        """One bucket a layer."""
        for index, (param, grad, state) in enumerate(zip(self.params, self.grads, self.states, strict=True)):
            steps = self.steps[index : index + 1]
            yield Bucket(params=[param], grads=[grad], states=[state], steps=steps, at_once=False)


class MultiTensorOptimizer(Optimizer):
    """An optimizer whose rule is written over lists of layers: what a step is, whatever the rule.

    A subclass names the state it keeps (`state_names`) and changes weights and state in `update`; it may have
    `update_fused` besides. Its groups need the options `maximize`, `foreach` and `capturable`.
    """

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """The tensors of a weight's shape that the rule keeps for each layer, zeros before the first step."""
        raise NotImplementedError

    def counts_steps(self, group: Mapping[str, Any]) -> bool:
        """Whether the rule needs the number of steps that each layer has taken: a state `step` of no dimensions."""
        return False

    def update(self, bucket: Bucket, group: Mapping[str, Any], lr: LayerValues) -> None:
        """Changes weights and states in place: of all layers, or of one.

        Args:
            bucket: the layers.
            group: the options of the parameter group.
            lr: its learning rate; a tensor of no dimensions where it may not be read back.
        """
        raise NotImplementedError

    def has_fused(self, group: Mapping[str, Any]) -> bool:
        """Whether `update_fused` can take the group's step."""
        return False

    def update_fused(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], lr: float
    ) -> None:
        """`update` of one layer on a CPU, in as few passes over the memory as can be.

        Args:
            param: the weights.
            grad: their gradient, which lies in memory as they do, and so does the state.
            state: the layer's state, its step counted.
            group: the options of the parameter group.
            lr: its learning rate.
        """
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Updates every parameter that has a gradient.

        Args:
            closure: evaluates the model again and returns the loss.

        Returns:
            The closure's loss, or None.

        Raises:
            RuntimeError: a gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            on_device = group["capturable"] or torch.compiler.is_compiling()
            lr = group["lr"] if on_device else float(group["lr"])
            rest = [param for param in group["params"] if param.grad is not None]
            if group["foreach"] is None and not on_device and self.has_fused(group):
                rest = self._step_fused(rest, group, lr)
            for bucket in self._buckets(rest, group, on_device):
                for part in [bucket] if bucket.at_once else bucket.layers():
                    self.update(part, group, lr)
        return loss

    def _step_fused(self, params: list[nn.Parameter], group: Mapping[str, Any], lr: float) -> list[nn.Parameter]:
        """Takes the fused step of every layer whose tensors allow it; returns the other layers."""
        names, counting, maximize = self.state_names(group), self.counts_steps(group), group["maximize"]
        rest = []
        for param in params:
            if not param.is_cpu or param.dtype not in (torch.float32, torch.float64):
                rest.append(param)
                continue
            grad, state = self._gradient(param, maximize), self._state_of(param, names)
            if not _lie_alike(param, grad, [state[name] for name in names]):
                rest.append(param)
                continue
            if counting:
                if "step" not in state:
                    state["step"] = torch.zeros((), dtype=torch.float32)
                state["step"] += 1
            self.update_fused(param, grad, state, group, lr)
        return rest

    def _buckets(self, params: list[nn.Parameter], group: Mapping[str, Any], on_device: bool) -> list[Bucket]:
        """The parameters by device and dtype, this step counted."""
        by_kind: dict[tuple[torch.device, torch.dtype], list[nn.Parameter]] = {}
        for param in params:
            by_kind.setdefault((param.device, param.dtype), []).append(param)
        names, found = self.state_names(group), []
        for (device, _), alike in by_kind.items():
            steps: Sequence[float] | Tensor = []
            if self.counts_steps(group):
                steps = self._count(alike, device, on_device, group["capturable"])
            found.append(
                Bucket(
                    params=list(alike),
                    grads=[self._gradient(param, group["maximize"]) for param in alike],
                    states=[self._state_of(param, names) for param in alike],
                    steps=steps,
                    at_once=on_device or (device.type != "cpu" if group["foreach"] is None else group["foreach"]),
                )
            )
        return found

    def _state_of(self, param: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
        """The parameter's state, with the tensors of these names."""
        state: dict[str, Tensor] = self.state[param]
        for name in names:
            if name not in state:
                state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return state

    def _count(
        self, params: list[nn.Parameter], device: torch.device, on_device: bool, capturable: bool
    ) -> Sequence[float] | Tensor:
        """Counts this step for every parameter and returns their counts."""
        home = device if capturable else torch.device("cpu")
        for param in params:
            if "step" not in self.state[param]:
                self.state[param]["step"] = torch.zeros((), dtype=torch.float32, device=home)
        steps = [self.state[param]["step"] for param in params]
        torch._foreach_add_(steps, 1)
        if on_device:
            return torch.stack(steps).to(device=device, dtype=torch.float64)
        return [step.item() for step in steps]

    def _gradient(self, param: nn.Parameter, maximize: bool) -> Tensor:
        grad = param.grad
        assert grad is not None  # parameters without one are left out
        if grad.is_sparse:
            raise RuntimeError(
                f"{type(self).__name__} cannot use the sparse gradient of a parameter of shape {tuple(param.shape)}:"
                " make it dense (sparse=False in nn.Embedding) or use torch.optim.SparseAdam."
            )
        return -grad if maximize else grad


def _lie_alike(param: Tensor, grad: Tensor, states: list[Tensor]) -> bool:
    """Whether the tensors are dense and have their elements in the same order of memory."""
    strides = param.stride()
    if grad.stride() != strides:
        return False
    for state in states:
        if state.stride() != strides:
            return False
    if param.is_contiguous():
        return True
    return param.permute(sorted(range(param.ndim), key=param.stride, reverse=True)).is_contiguous()


def norm(tensor: Tensor) -> float:
    """L2 norm of a dense tensor of float32 or float64."""
    flat = tensor.as_strided((tensor.numel(),), (1,)) if tensor.ndim != 1 else tensor
    return math.sqrt(torch.dot(flat, flat))  # half the time of vector_norm


def norms(tensors: list[Tensor], *, at_once: bool) -> LayerValues:
    """L2 norm of every tensor, in float32 where they are of half precision, else in their own precision.

    Args:
        tensors: one a layer; one alone unless `at_once`.
        at_once: whether to return a tensor `_L`, else a float.
    """
    dtype = torch.float32 if tensors[0].dtype in (torch.bfloat16, torch.float16) else tensors[0].dtype
    norm_L = torch.stack(torch._foreach_norm(tensors, 2, dtype=dtype))
    return norm_L if at_once else float(norm_L.item())


def ratios(
    numerators: LayerValues, denominators: LayerValues, *, norms: tuple[LayerValues, LayerValues]
) -> LayerValues:
    """numerator / denominator of every layer; 1 where one of its two norms is 0 or not a number."""
    first, second = norms
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.where((first > 0) & (second > 0), numerators / denominators, torch.ones_like(first))
    return numerators / denominators if first > 0 and second > 0 else 1.0


def clamped(values: LayerValues, low: LayerValues, high: LayerValues) -> LayerValues:
    """Every layer's value, at least `low` and at most `high`."""
    if isinstance(values, Tensor):
        return torch.clamp(values, low, high)  # type: ignore[arg-type]
    return min(max(values, float(low)), float(high))


def scaled(tensors: list[Tensor], factors: LayerValues) -> list[Tensor]:
    """Every tensor times its layer's factor, in new tensors of the same dtype; a factor of 1 changes no bit."""
    if isinstance(factors, Tensor):
        return list(torch._foreach_mul(tensors, list(factors.unbind()) if factors.ndim else factors))
    return tensors if factors == 1 else list(torch._foreach_mul(tensors, _exact(factors)))


def add_scaled(targets: list[Tensor], sources: list[Tensor], factors: LayerValues, *, alpha: LayerValues = 1.0) -> None:
    """target += alpha factor source, in place, for every layer."""
    if isinstance(alpha, Tensor):
        factors, alpha = alpha * factors, 1.0
    if isinstance(factors, Tensor):
        torch._foreach_add_(targets, scaled(sources, factors), alpha=alpha)
    else:
        torch._foreach_add_(targets, sources, alpha=within_range(alpha * factors, targets[0].dtype))


def shrink(tensors: list[Tensor], factors: LayerValues) -> None:
    """Multiplies every tensor by its layer's factor, in place."""
    if isinstance(factors, Tensor):
        torch._foreach_mul_(tensors, list(factors.unbind()) if factors.ndim else factors)
    else:
        factor = within_range(factors, tensors[0].dtype)
        torch._foreach_mul_(tensors, _exact(factor) if tensors[0].dtype.itemsize < 4 else factor)


def within_range(factor: float, dtype: torch.dtype) -> float:
    """The factor, or the largest number of the dtype: torch refuses larger ones, which diverging weights need.

    >>> within_range(-1e39, torch.float32)
    -3.4028234663852886e+38
    """
    if -SURELY_FINITE <= factor <= SURELY_FINITE or factor != factor:
        return factor
    largest = torch.finfo(dtype).max
    return max(-largest, min(factor, largest))


def _exact(factor: float) -> Any:
    # As a plain number, torch._foreach_mul_ on a CPU would round it to the tensors' dtype: 0.9 to 0.8984 in bfloat16.
    return torch.tensor(factor, dtype=torch.float64, device="cpu")


def with_decay(bucket: Bucket, weight_decay: float) -> list[Tensor]:
    """g + weight_decay w of every layer (L2 regularisation); the gradients themselves where it is 0."""
    if weight_decay == 0:
        return bucket.grads
    return list(torch._foreach_add(bucket.grads, bucket.params, alpha=weight_decay))


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
