"""Adapters that make optimizers of other packages satisfy the contract of this package's optimizers.

The arithmetic stays the package's own. The adapters leave gradients unchanged, add `maximize`, reject sparse gradients
with a message, never raise for non-finite numbers (a diverging training must end as diverged), and provide a
`state_dict` from which a training resumes bit for bit. If a package evaluates at other weights than it trains, the
optimizer has the two methods of Schedule-Free, `eval()` and `train()`.

This module must not import any of the packages; it receives their objects.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Averager(Protocol):
    """`dog.PolynomialDecayAverager`: averages a module's weights, with one call of `step` per update."""

    @property
    def averaged_model(self) -> nn.Module:
        """The module with the averaged weights."""
        ...

    def step(self) -> None:
        """Add the current weights to the averages."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the averages and the number of updates."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a `state_dict`."""
        ...


class PackagedOptimizer(Optimizer):
    """A package's optimizer, adapted.

    Args:
        inner: the package's optimizer; the two share parameter groups and state.
    """

    def __init__(self, inner: Optimizer) -> None:
        self.inner = inner
        super().__init__(inner.param_groups, inner.defaults)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update the parameters that have a gradient by the package's rule, as `MultiTensorOptimizer.step`."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        given = self._gradients()
        try:
            for param, grad, maximize in given:
                # A copy, since packages add weight decay to the gradient or normalise it in place.
                param.grad = -grad if maximize else grad.clone()
            if given:
                self._package_step()
        finally:
            for param, grad, _ in given:
                param.grad = grad
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group; raise ValueError if a parameter is complex, which the packages step wrongly."""
        super().add_param_group({"maximize": False, **param_group})
        if any(param.is_complex() for param in self.param_groups[-1]["params"]):
            self.param_groups.pop()
            raise ValueError(
                f"{type(self.inner).__name__} does not support complex parameters: train their real and imaginary"
                " parts as one real tensor (torch.view_as_real)."
            )

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or pickle needs: the package's optimizer, and its plain attributes, which torch omits."""
        plain = {name: value for name, value in vars(self.inner).items() if isinstance(value, bool | int | float)}
        return {**super().__getstate__(), "inner": self.inner, "_inner_attributes": plain}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy or pickle."""
        attributes = state.pop("_inner_attributes", {})
        super().__setstate__(state)
        vars(self.inner).update(attributes)
        self._share()

    def state_dict(self) -> dict[str, Any]:
        """Return the package's state."""
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a `state_dict`."""
        self.inner.load_state_dict(state_dict)
        self._share()

    def _package_step(self) -> None:
        self.inner.step()

    def _share(self) -> None:
        """Share the package's groups and state again, since loading replaces them."""
        self.state, self.param_groups = self.inner.state, self.inner.param_groups
        for group in self.param_groups:
            group.setdefault("maximize", False)

    def _gradients(self) -> list[tuple[Tensor, Tensor, bool]]:
        """Return every parameter with a gradient, the gradient, and whether to maximise."""
        found = [
            (param, param.grad, bool(group["maximize"]))
            for group in self.param_groups
            for param in group["params"]
            if param.grad is not None
        ]
        for param, grad, _ in found:
            if grad.is_sparse:
                raise RuntimeError(
                    f"{type(self.inner).__name__} does not support the sparse gradient of a parameter of shape"
                    f" {tuple(param.shape)}: make it dense (sparse=False in nn.Embedding)."
                )
        return found


class SwitchedOptimizer(PackagedOptimizer):
    """A package's optimizer that evaluates at other weights than it trains and switches them itself (Schedule-Free).

    It starts in training mode. Switching back and forth rounds the weights, so a training is reproduced exactly only if
    it is evaluated at the same updates.

    Args:
        inner: the package's optimizer, with methods `train` and `eval`.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.train()
        self.state.clear()  # the package creates an empty entry for every parameter

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group, in the mode of the others."""
        if self.param_groups:
            param_group = {"train_mode": self.param_groups[0]["train_mode"], **param_group}
        super().add_param_group(param_group)

    def train(self) -> None:
        """Switch to the weights at which gradients are computed; idempotent."""
        self.inner.train()  # type: ignore[attr-defined]

    def eval(self) -> None:
        """Switch to the weights to evaluate; idempotent."""
        self.inner.eval()  # type: ignore[attr-defined]


class DAdaptedSGD(PackagedOptimizer):
    """D-Adaptation's SGD without its errors: nothing moves if the first gradient or the learning rate is 0."""

    def _package_step(self) -> None:
        if any(group["lr"] > 0 for group in self.param_groups):
            try:
                super()._package_step()
            except ZeroDivisionError:  # by the norm of the first gradient, before any change
                return


class AveragedOptimizer(PackagedOptimizer):
    """DoG or LDoG with weight averaging, as its authors prescribe (arXiv 2302.12022, Section 4.1).

    The weights of update t enter the average about in proportion to t^8 (Shamir and Zhang 2013). Training continues at
    the last weights; `eval()` and `train()` swap the two exactly, in place.

    Args:
        inner: `dog.DoG` or `dog.LDoG`.
        averager: module with the optimizer's parameters -> averager.
    """

    def __init__(self, inner: Optimizer, averager: Callable[[nn.Module], Averager]) -> None:
        super().__init__(inner)
        self._weights = nn.ParameterList(param for group in self.param_groups for param in group["params"])
        self._averager = averager(self._weights)
        self._evaluating = False

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Raise ValueError once the average exists: neither it nor the package takes another parameter."""
        if "_averager" in vars(self):
            raise ValueError(
                f"{type(self.inner).__name__} measures distances from its first weights and takes no parameter group"
                " later: give all parameters when the optimizer is created."
            )
        super().add_param_group(param_group)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or pickle needs, with the average."""
        own = {name: vars(self)[name] for name in ("_weights", "_averager", "_evaluating")}
        return {**super().__getstate__(), **own}

    def train(self) -> None:
        """Switch to the last weights; idempotent."""
        if self._evaluating:
            self._swap()

    def eval(self) -> None:
        """Switch to the average, or to the first weights before the first update; idempotent."""
        if not self._evaluating:
            self._swap()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the package and of the averager, and which weights are active."""
        return {**super().state_dict(), "averager": self._averager.state_dict(), "evaluating": self._evaluating}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a `state_dict` into a model whose weights were saved with it.

        Raises:
            ValueError: the dict has no average, as after torch's `get_optimizer_state_dict`.
        """
        if "averager" not in state_dict:
            raise ValueError(
                f"the loaded state dict of {type(self.inner).__name__} has no average of the weights ('averager'):"
                " save and load the optimizer's own state_dict()."
            )
        super().load_state_dict(state_dict)
        for group in self.param_groups:  # the package moves them to the CPU, where LDoG cannot use them for a GPU
            device = group["params"][0].device
            group.update({name: group[name].to(device) for name in ("rbar", "G") if name in group})
        self._averager.load_state_dict(state_dict["averager"])
        self._evaluating = state_dict["evaluating"]

    def _package_step(self) -> None:
        if self._evaluating:
            raise RuntimeError("the active weights are the average, for evaluation: call train() before step().")
        if any(param.grad is None for param in self._weights):
            raise RuntimeError(
                f"{type(self.inner).__name__} needs a gradient of every parameter:"
                " give it only those that the loss depends on."
            )
        try:
            super()._package_step()
        except AssertionError:
            # Raised by the package for a NaN gradient. With any other optimizer the weights become NaN, and the
            # training ends as diverged instead of crashing.
            for param in self._weights:
                param.fill_(torch.nan)
        self._averager.step()

    @torch.no_grad()
    def _swap(self) -> None:
        for param, average in zip(self._weights, self._averager.averaged_model.parameters(), strict=True):
            held = param.clone()
            param.copy_(average)
            average.copy_(held)
        self._evaluating = not self._evaluating
