"""Keep torch's compiler out of programs that compile nothing.

The first time that torch makes an optimizer, steps one, counts operations or draws on the meta device, it imports its
compiler in order to exclude those functions from compilation. That takes two seconds of a core in every process. This
module must not know what is trained.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

_ANSWER = "__dynamo_disable"
"""Attribute in which torch (`torch._compile`) keeps the replacement of a guarded function, once it has made one."""

_BYPASSED: dict[type[Optimizer], type[Optimizer]] = {}
"""torch's solvers -> their subclasses."""


def bypass_compiler(*guarded: Callable[..., Any]) -> None:
    """Have functions that torch guards from its compiler called without importing the compiler.

    No effect if the compiler has been imported already, or on a function that is not guarded as in torch 2.9 to 2.13:
    it is then called as torch defines it. If a program later compiles a call of such a function, it is traced.

    Args:
        guarded: functions that torch has decorated with `torch._disable_dynamo`.

    >>> from torch.optim import Optimizer
    >>> bypass_compiler(Optimizer.zero_grad)
    """
    if "torch._dynamo" in sys.modules:
        return
    for function in guarded:
        plain = getattr(function, "__wrapped__", None)
        if plain is not None and not hasattr(plain, _ANSWER):
            setattr(plain, _ANSWER, plain)


def bypass_compiler_in_step(solver: type[Optimizer]) -> type[Optimizer]:
    """Return a subclass of a torch.optim solver, of the same name, whose step does not import the compiler.

    Differs from torch's: the step records no gradients even if the solver's `differentiable` is set.

    >>> solver = bypass_compiler_in_step(torch.optim.SGD)
    >>> solver.__name__, issubclass(solver, torch.optim.SGD)
    ('SGD', True)
    """
    if solver in _BYPASSED:
        return _BYPASSED[solver]
    plain = inspect.unwrap(solver.step)  # inside torch's graph break and its profiler hook
    members = {"__module__": solver.__module__, "step": torch.no_grad()(plain), "__reduce__": _reduce}
    return _BYPASSED.setdefault(solver, type(solver.__name__, (solver,), members))


class WithoutValues(TorchFunctionMode):
    """Have `torch.nn.init` and `Tensor.normal_` fill nothing, since tensors on the meta device have no values.

    >>> with torch.device("meta"), WithoutValues():
    ...     torch.nn.init.normal_(torch.empty(2)).shape
    torch.Size([2])
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Return the tensor that a call would fill; do all other calls."""
        if func is torch.Tensor.normal_ or getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def _reduce(optimizer: Optimizer) -> tuple[Any, ...]:
    """Reduce for pickle, which finds only torch's class by its name."""
    return _empty, (type(optimizer).__bases__[0],), optimizer.__getstate__()


def _empty(solver: type[Optimizer]) -> Optimizer:
    """Return an optimizer for pickle to restore."""
    own = bypass_compiler_in_step(solver)
    return own.__new__(own)
