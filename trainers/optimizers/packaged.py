"""Optimizers of other packages, kept to what every optimizer here promises.

The arithmetic is the package's own, untouched. Added around it: gradients are left as they were, `maximize`, a sentence
for sparse gradients, a step that never raises where numbers are bad (a training that diverges must be seen to do so),
and a `state_dict` that a training resumes from bit for bit. Where a package evaluates at other weights than it trains,
the optimizer has Schedule-Free's two switches, `eval()` and `train()`.

This module must not import any package: it is given their objects.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Averager(Protocol):
    """`dog.PolynomialDecayAverager`: averages a module's weights, one call of `step` an update."""

    @property
    def averaged_model(self) -> nn.Module:
        """The module that holds the averages."""
        ...

    def step(self) -> None:
        """Takes the present weights into the averages."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The averages and the number of updates."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...


class PackagedOptimizer(Optimizer):
    """A package's optimizer.

    Args:
        inner: the package's optimizer; its groups and its state are also this one's.
    """

    def __init__(self, inner: Optimizer) -> None:
        super().__init__(inner.param_groups, inner.defaults)
        self.inner = inner
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Updates the parameters that have a gradient, as the package does.

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
        given = self._gradients()
        try:
            for param, grad, maximize in given:
                # A new tensor, since packages add weight decay to the gradient, or normalise it, in place.
                param.grad = -grad if maximize else grad.clone()
            if given:
                self._package_step()
        finally:
            for param, grad, _ in given:
                param.grad = grad
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The package's state."""
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.inner.load_state_dict(state_dict)
        self._share()

    def _package_step(self) -> None:
        self.inner.step()

    def _share(self) -> None:
        """Makes the package's groups and state, which loading replaces, this optimizer's too."""
        self.state, self.param_groups = self.inner.state, self.inner.param_groups
        for group in self.param_groups:
            group.setdefault("maximize", False)

    def _gradients(self) -> list[tuple[Tensor, Tensor, bool]]:
        """Every parameter that has a gradient, its gradient, and whether to go up it."""
        found = [
            (param, param.grad, bool(group["maximize"]))
            for group in self.param_groups
            for param in group["params"]
            if param.grad is not None
        ]
        for param, grad, _ in found:
            if grad.is_sparse:
                raise RuntimeError(
                    f"{type(self.inner).__name__} cannot use the sparse gradient of a parameter of shape"
                    f" {tuple(param.shape)}: make it dense (sparse=False in nn.Embedding)."
                )
        return found


class SwitchedOptimizer(PackagedOptimizer):
    """A package's optimizer that evaluates at other weights than it trains, and switches them itself (Schedule-Free).

    It starts as if `train()` had been called. Switching there and back changes the weights by rounding, so a training
    is repeated exactly where it is also evaluated at the same updates.

    Args:
        inner: the package's optimizer, with methods `train` and `eval`.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.train()
        self.state.clear()  # of the empty entries that the package makes of every parameter

    def train(self) -> None:
        """Puts the weights in place that gradients are taken at; does nothing where they are."""
        self.inner.train()  # type: ignore[attr-defined]

    def eval(self) -> None:
        """Puts the weights in place that are evaluated; does nothing where they are."""
        self.inner.eval()  # type: ignore[attr-defined]


class DAdaptedSGD(PackagedOptimizer):
    """D-Adaptation's SGD, which fails where its first gradient, or its learning rate, is 0: here nothing moves then."""

    def _package_step(self) -> None:
        if any(group["lr"] > 0 for group in self.param_groups):
            try:
                super()._package_step()
            except ZeroDivisionError:  # by the norm of the first gradient, before anything is changed
                return


class AveragedOptimizer(PackagedOptimizer):
    """DoG or LDoG with the average of the weights that its authors ask for (arXiv 2302.12022, Section 4.1).

    After T updates the weight of update t in the average is about proportional to t^8 (Shamir and Zhang 2013). Training
    goes on at the last weights; `eval()` and `train()` swap the two in place, exactly.

    Args:
        inner: `dog.DoG` or `dog.LDoG`.
        averager: what averages; given a module that holds the optimizer's parameters.
    """

    def __init__(self, inner: Optimizer, averager: Callable[[nn.Module], Averager]) -> None:
        super().__init__(inner)
        self._weights = nn.ParameterList(param for group in self.param_groups for param in group["params"])
        self._averager = averager(self._weights)
        self._evaluating = False

    def train(self) -> None:
        """Puts the last weights in place; does nothing where they are."""
        if self._evaluating:
            self._swap()

    def eval(self) -> None:
        """Puts the average in place, before the first update the first weights; does nothing where it is."""
        if not self._evaluating:
            self._swap()

    def state_dict(self) -> dict[str, Any]:
        """The package's state, the averager's, and which of the two weights are in place."""
        return {**super().state_dict(), "averager": self._averager.state_dict(), "evaluating": self._evaluating}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`, for a model whose weights were saved with it."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:  # the package moves them to the CPU, where LDoG cannot use them with a GPU
            device = group["params"][0].device
            group.update({name: group[name].to(device) for name in ("rbar", "G") if name in group})
        self._averager.load_state_dict(state_dict["averager"])
        self._evaluating = state_dict["evaluating"]

    def _package_step(self) -> None:
        if self._evaluating:
            raise RuntimeError("the weights in place are the average, for evaluation: call train() before step().")
        if any(param.grad is None for param in self._weights):
            raise RuntimeError(
                f"{type(self.inner).__name__} needs a gradient of every parameter:"
                " give it only those that the loss depends on."
            )
        try:
            super()._package_step()
        except AssertionError:
            # The package's answer to a gradient that is not a number. Of any other optimizer, the weights become that
            # too, and whoever trains sees a divergence instead of a crash.
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
