"""Two processes of one process group, for tests of torch's own data parallelism."""

import multiprocessing
from collections.abc import Callable

import torch.multiprocessing

PRELOADED = ["pytest", "torch.distributed.fsdp", "torch.nn.parallel", "zerotune.trainers.loop"]
"""What takes seconds to import. A server that has done so is forked for each process."""


def call_in_two_processes(function: Callable[..., None], *arguments: object) -> None:
    """Call `function(rank, *arguments)` in two new processes, and wait for their end.

    The function must be at the top level of a module.
    """
    multiprocessing.set_forkserver_preload(PRELOADED)
    torch.multiprocessing.start_processes(function, args=arguments, nprocs=2, start_method="forkserver")
