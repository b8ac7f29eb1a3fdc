"""What a step is for every layer-wise optimizer here, whatever its update rule.

A step is taken in one of three ways, by the option `foreach` of the group:

- True, and None on GPUs: all layers at once by `torch._foreach_*`; every per-layer number is a tensor on the device.
  With `capturable`, and in `torch.compile`, nothing is read back to the host.
- False: the same rule layer by layer, in plain operations; a layer's number is a float. The reference.
- None on CPUs: layer by layer too, each in one pass over the memory by torch's fused kernel, where the rule has one.

A layer is a parameter tensor. The layers of K models of one form can be stacked, each tensor with the model as its
first dimension, and stepped together (group option `stacked`): the rule is the same, with every norm and learning rate
a model's own. Layers that are cut over devices (FSDP2's DTensors) are stepped by their shards, all at once, with the
norms of whole layers. This module must not know any update rule.

Shapes: `_L` one entry a layer; `_LK` one a layer and model; lists hold one tensor a layer, of that layer's own shape.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .layer_values import LayerValues, norms, stacked_norms
from .sharded import Sharding, find_sharding, local_shard, local_shard_like


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Layers of a parameter group that share a device and a dtype and have a gradient; or one of them.

    Attributes:
        params: the weights.
        grads: their gradients, negated where the group maximises; not to be changed in place.
        states: the optimizer's state tensors of each by name, to be changed in place.
        steps: t of each layer, this step included: floats, or `_L` on the device where nothing may be read back;
            empty where the rule does not count. `_L1` where models are stacked.
        at_once: whether per-layer numbers are tensors `_L`; else this is one layer, and they are floats.
        stacked: whether the first dimension of every tensor is a model, and per-layer numbers are `_LK`.
        sharding: how the layers are cut, whose shards on this device the tensors are; None where they are whole.
    """

    params: list[Tensor]
    grads: list[Tensor]
    states: list[dict[str, Tensor]]
    steps: Sequence[float] | Tensor
    at_once: bool
    stacked: bool = False
    sharding: Sharding | None = None

    def norms(self, tensors: list[Tensor]) -> LayerValues:
        """L2 norm of one tensor a layer: of its weights, its gradient or its update."""
        if self.sharding is not None:
            return self.sharding.reduce_norms(torch.as_tensor(norms(tensors, at_once=True)))
        return stacked_norms(tensors) if self.stacked else norms(tensors, at_once=self.at_once)

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
    `update_fused` besides. Its groups need the options `maximize`, `foreach` and `capturable`; a group of stacked
    models has `stacked` besides, and a tensor `_1K` of learning rates.
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
            lr: its learning rate; a tensor of no dimensions where it may not be read back, `_1K` of stacked models.
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

    def applied_ratio(
        self, param: Tensor, group: Mapping[str, Any], weight_norm: float, gradient_norm: float
    ) -> float | None:
        """The factor that the next step has in a layer besides the learning rate; changes nothing.

        Args:
            param: the layer's weights.
            group: its options.
            weight_norm: |w|.
            gradient_norm: |g|.

        Returns:
            The factor; None where it is known only when the direction is.
        """
        return None

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
            on_device = group["capturable"] or group.get("stacked", False) or torch.compiler.is_compiling()
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
            is_usual = param.is_cpu and param.dtype in (torch.float32, torch.float64)
            if not is_usual or find_sharding(param) is not None:
                rest.append(param)
                continue
            grad, state = self._gradient(param, maximize), self._state_of(param, names)
            if not _same_layout(param, grad, [state[name] for name in names]):
                rest.append(param)
                continue
            if counting:
                if "step" not in state:
                    state["step"] = torch.zeros((), dtype=torch.float32)
                state["step"] += 1
            self.update_fused(param, grad, state, group, lr)
        return rest

    def _buckets(self, params: list[nn.Parameter], group: Mapping[str, Any], on_device: bool) -> list[Bucket]:
        """The parameters by device, dtype and the way they are cut, this step counted."""
        by_kind: dict[tuple[torch.device, torch.dtype, Sharding | None], list[nn.Parameter]] = {}
        for param in params:
            by_kind.setdefault((param.device, param.dtype, find_sharding(param)), []).append(param)
        names, stacked, found = self.state_names(group), group.get("stacked", False), []
        for (device, _, sharding), alike in by_kind.items():
            steps: Sequence[float] | Tensor = []
            if self.counts_steps(group):
                steps = self._count(alike, device, on_device, group["capturable"])
                if stacked and isinstance(steps, Tensor):
                    steps = steps.unsqueeze(1)
            grads = [self._gradient(param, group["maximize"]) for param in alike]
            states = [self._state_of(param, names) for param in alike]
            tensors: list[Tensor] = list(alike)
            if sharding is not None:
                grads = [local_shard_like(grad, param) for grad, param in zip(grads, alike, strict=True)]
                states = [{name: local_shard(state[name]) for name in names} for state in states]
                tensors = [local_shard(param) for param in alike]
            at_once = device.type != "cpu" if group["foreach"] is None else group["foreach"]
            found.append(
                Bucket(
                    params=tensors,
                    grads=grads,
                    states=states,
                    steps=steps,
                    at_once=on_device or at_once or sharding is not None,
                    stacked=stacked,
                    sharding=sharding,
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


def _same_layout(param: Tensor, grad: Tensor, states: list[Tensor]) -> bool:
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


def add_weight_decay(bucket: Bucket, weight_decay: float) -> list[Tensor]:
    """g + weight_decay w of every layer (L2 regularisation); the gradients themselves where it is 0."""
    if weight_decay == 0:
        return bucket.grads
    return list(torch._foreach_add(bucket.grads, bucket.params, alpha=weight_decay))
