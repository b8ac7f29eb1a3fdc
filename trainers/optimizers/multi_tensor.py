"""The step of layer-wise optimizers, independent of the update rule.

The group option `foreach` selects one of three implementations:

- True, and None on GPUs: all layers at once by `torch._foreach_*`; per-layer numbers are tensors on the device. With
  `capturable`, and in `torch.compile`, nothing is read back to the host.
- False: layer by layer in plain operations; per-layer numbers are floats. This is the reference.
- None on CPUs: layer by layer, each in one pass over memory by torch's fused kernel if the rule has one.

A layer is a parameter tensor. The layers of K models of the same architecture can be stacked along a first dimension
and stepped together (group option `stacked`); norms and learning rates are then per model. Layers sharded over devices
(FSDP2's DTensors) are stepped by their local shards, all at once, with the norms of whole layers. This module must not
know any update rule.

Shape suffixes: L layers, K models. Lists hold one tensor per layer, of that layer's shape.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .group_options import TORCH_RANGES, Check, check_group, pair_betas
from .layer_values import LayerValues, norms, stacked_norms
from .sharded import Sharding, find_sharding, local_shard, local_shard_like


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Layers of a parameter group with a gradient that share device and dtype, or one of them.

    Attributes:
        params: the weights.
        grads: their gradients, negated if the group maximises; never change them in place.
        states: each layer's state tensors by name, updated in place.
        steps: step count of each layer, including this step: floats, or a tensor `_L` on the device if nothing may be
            read back, `_L1` if models are stacked. Empty if the rule does not count steps.
        at_once: whether per-layer numbers are tensors `_L`; if not, the bucket is one layer, and they are floats.
        stacked: whether the first dimension of every tensor is the model, and per-layer numbers are `_LK`.
        sharding: sharding of the layers, of which the tensors are the local shards; None for plain tensors.
    """

    params: list[Tensor]
    grads: list[Tensor]
    states: list[dict[str, Tensor]]
    steps: Sequence[float] | Tensor
    at_once: bool
    stacked: bool = False
    sharding: Sharding | None = None

    def norms(self, tensors: list[Tensor]) -> LayerValues:
        """Return the L2 norms of tensors, one per layer: weights, gradients or updates."""
        if self.sharding is not None:
            return self.sharding.reduce_norms(torch.as_tensor(norms(tensors, at_once=True)))
        return stacked_norms(tensors) if self.stacked else norms(tensors, at_once=self.at_once)

    def state_tensors(self, name: str) -> list[Tensor]:
        """Return the state `name` of every layer."""
        return [state[name] for state in self.states]

    def layers(self) -> Iterator["Bucket"]:
        """Yield one bucket per layer."""
        for index, (param, grad, state) in enumerate(zip(self.params, self.grads, self.states, strict=True)):
            steps = self.steps[index : index + 1]
            yield Bucket(params=[param], grads=[grad], states=[state], steps=steps, at_once=False)


class MultiTensorOptimizer(Optimizer):
    """An optimizer whose update rule is written over lists of layers.

    A subclass names its state tensors (`state_names`) and changes weights and states in `update`, optionally also in
    `update_fused`. Its groups need the options `maximize`, `foreach` and `capturable`. A group of stacked models also
    has `stacked` and learning rates `_1K`.

    Complex parameters are stepped as pairs of real numbers (`torch.view_as_real`), as by torch's optimizers.
    """

    def ranges(self, group: Mapping[str, Any]) -> Mapping[str, Check]:
        """Return the allowed values of the group's numbers, besides those of `lr`."""
        return TORCH_RANGES

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group; options that it leaves out are the optimizer's.

        Raises:
            ValueError: the group has no learning rate, or an option is out of range.
        """
        if isinstance(param_group, dict):  # torch refuses anything else
            param_group = self._complete(param_group)
            check_group(type(self).__name__, param_group, self.ranges(param_group))
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle, a copy or a `state_dict`; options that it does not know are the optimizer's."""
        super().__setstate__(state)
        self.param_groups = [self._complete(group) for group in self.param_groups]
        for values in self.state.values():
            if isinstance(values, dict) and isinstance(
                values.get("step"), float | int
            ):  # as torch wrote it before 1.12
                values["step"] = torch.tensor(float(values["step"]), dtype=torch.float32)

    def _complete(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return a group with the optimizer's options where it leaves them out, and with `betas`."""
        defaults = {name: value for name, value in self.defaults.items() if name != "differentiable"}  # torch's own
        return {**defaults, **pair_betas(group, self.defaults.get("betas", (0.9, 0.999)))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a `state_dict`, whatever the step form that it was saved in.

        As in torch, parameters are matched by their position, and the groups take the saved options.

        Raises:
            ValueError: the groups differ in number or length, or a state is missing, of another shape or of other
                parameter names: the dict is another optimizer's, or its parameters are in another order.
        """
        for saved, group in zip(state_dict["param_groups"], self.param_groups, strict=False):  # torch checks lengths
            names = self.state_names(self._complete(saved))
            _check_names(type(self).__name__, saved.get("param_names"), group.get("param_names"))
            for key, param in zip(saved["params"], group["params"], strict=False):
                _check_state(type(self).__name__, key, state_dict["state"].get(key), param, names)
        super().load_state_dict(state_dict)

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the rule's state tensors, each of a weight's shape and zero before the first step."""
        raise NotImplementedError

    def counts_steps(self, group: Mapping[str, Any]) -> bool:
        """Whether the rule needs each layer's step count, kept as a 0-dimensional state `step`."""
        return False

    def update(self, bucket: Bucket, group: Mapping[str, Any], lr: LayerValues) -> None:
        """Update weights and states in place, of all layers or of one.

        Args:
            bucket: the layers.
            group: options of the parameter group.
            lr: its learning rate; a 0-dimensional tensor if it may not be read back, `_1K` for stacked models.
        """
        raise NotImplementedError

    def has_fused(self, group: Mapping[str, Any]) -> bool:
        """Whether `update_fused` supports the group's options."""
        return False

    def update_fused(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], lr: float
    ) -> None:
        """Do the same as `update` for one layer on a CPU, in as few passes over memory as possible.

        Args:
            param: the weights.
            grad: their gradient; weights, gradient and states share one memory layout.
            state: the layer's state, with its step count already incremented.
            group: options of the parameter group.
            lr: its learning rate.
        """
        raise NotImplementedError

    def unscale(self, param: Tensor) -> None:
        """Bring a layer's state from the form of `update_fused` to that of `update`, if they differ."""

    def applied_ratio(
        self, param: Tensor, group: Mapping[str, Any], weight_norm: float, gradient_norm: float
    ) -> float | None:
        """Return the factor that multiplies the learning rate in a layer's next step; None if the direction decides.

        Without side effects. The norms are |w| and |g|.
        """
        return None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient; raise RuntimeError if a gradient is sparse.

        Args:
            closure: reevaluates the model and returns the loss, which is then returned.
        """
        loss = None if closure is None else torch.enable_grad()(closure)()
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
        """Take the fused step of every layer that supports it; return the other layers."""
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
        """Group the parameters by device, dtype and sharding, and count this step."""
        by_kind: dict[tuple[torch.device, torch.dtype, Sharding | None], list[nn.Parameter]] = {}
        for param in params:
            by_kind.setdefault((param.device, param.dtype, find_sharding(param)), []).append(param)
        names, stacked, found = self.state_names(group), group.get("stacked", False), []
        for (device, dtype, sharding), alike in by_kind.items():
            steps: Sequence[float] | Tensor = []
            if self.counts_steps(group):
                steps = self._count(alike, device, on_device, group["capturable"])
                if stacked and isinstance(steps, Tensor):
                    steps = steps.unsqueeze(1)
            grads = [self._gradient(param, group["maximize"]) for param in alike]
            states = [self._state_of(param, names) for param in alike]
            for param in alike:
                self.unscale(param)
            tensors: list[Tensor] = list(alike)
            if sharding is not None:
                grads = [local_shard_like(grad, param) for grad, param in zip(grads, alike, strict=True)]
                states = [{name: local_shard(state[name]) for name in names} for state in states]
                tensors = [local_shard(param) for param in alike]
            if dtype.is_complex:
                grads = [torch.view_as_real(grad.resolve_conj()) for grad in grads]
                states = [{name: torch.view_as_real(state[name]) for name in names} for state in states]
                tensors = [torch.view_as_real(tensor) for tensor in tensors]
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
        """Return the parameter's state with all named tensors."""
        state: dict[str, Tensor] = self.state[param]
        for name in names:
            if state.get(name) is None:
                state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return state

    def _count(
        self, params: list[nn.Parameter], device: torch.device, on_device: bool, capturable: bool
    ) -> Sequence[float] | Tensor:
        """Increment and return the step count of every parameter."""
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
        assert grad is not None  # parameters without one are skipped
        if grad.is_sparse:
            raise RuntimeError(
                f"{type(self).__name__} does not support the sparse gradient of a parameter of shape"
                f" {tuple(param.shape)}: make it dense (sparse=False in nn.Embedding) or use torch.optim.SparseAdam."
            )
        return -grad if maximize else grad


def _check_names(owner: str, saved: Sequence[str] | None, own: Sequence[str] | None) -> None:
    """Refuse the same parameters in another order, if both sides name them."""
    if saved is not None and own is not None and list(saved) != list(own) and sorted(saved) == sorted(own):
        place = next(index for index, (left, right) in enumerate(zip(saved, own, strict=True)) if left != right)
        raise ValueError(
            f"{owner}: the loaded state dict has its parameters in another order: {saved[place]!r} is in the place of"
            f" {own[place]!r}. Create the optimizer with the parameters in the order in which it was saved."
        )


def _check_state(owner: str, key: Any, state: Any, param: Tensor, names: tuple[str, ...]) -> None:
    """Refuse the state of another rule or of another parameter."""
    if not state:  # a parameter that has had no gradient
        return
    for name in names:
        value = state.get(name)
        if value is None and any(isinstance(other, Tensor) and other.ndim for other in state.values()):
            raise ValueError(
                f"{owner}: the loaded state dict has no {name!r} of parameter {key!r}, but {', '.join(state)}: it is"
                " another optimizer's. Load it into the optimizer that it was saved by."
            )
        if isinstance(value, Tensor) and value.shape != param.shape:
            raise ValueError(
                f"{owner}: {name!r} of parameter {key!r} has the shape {tuple(value.shape)} in the loaded state dict,"
                f" and the parameter {tuple(param.shape)}: create the optimizer with the parameters in the order in"
                " which it was saved."
            )


def _same_layout(param: Tensor, grad: Tensor, states: list[Tensor]) -> bool:
    """Whether the tensors are dense and share one memory layout."""
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
    """Return g + weight_decay w of every layer (L2 regularisation); the gradients themselves if it is 0."""
    if weight_decay == 0:
        return bucket.grads
    return list(torch._foreach_add(bucket.grads, bucket.params, alpha=weight_decay))
