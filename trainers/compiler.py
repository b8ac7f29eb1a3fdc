"""Keeping torch's compiler out of programs that compile nothing.

The first time that torch makes an optimizer, steps one, or counts operations, it imports its compiler (two seconds of a
core, in every process) in order to tell it to leave those functions alone. This module must not know what is trained.
"""

import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

_ANSWER = "__dynamo_disable"
"""Where torch (`torch._compile`) keeps what it calls in the place of a guarded function, once it has made it."""


def bypass_compiler(*guarded: Callable[..., Any]) -> None:
    """Lets functions that torch guards from its compiler be called without importing it.

    Nothing is done where the compiler has been imported already, or where a function is not guarded as in torch 2.9 to
    2.13: it is then called as torch has it. A program that compiles a call of such a function later has it traced.

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
    """The same solver of torch.optim, of the same name, whose step does not import the compiler.

    Differs from torch's: the step records no gradients even where the solver's `differentiable` is set.

    >>> solver = bypass_compiler_in_step(torch.optim.SGD)
    >>> solver.__name__, issubclass(solver, torch.optim.SGD)
    ('SGD', True)
    """
    plain = inspect.unwrap(solver.step)  # within torch's break of the graph and its profiler's hook
    return type(solver.__name__, (solver,), {"__module__": solver.__module__, "step": torch.no_grad()(plain)})
