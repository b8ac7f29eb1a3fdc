"""The head of an embedded Ray cluster: a separate process that ends with the program that it serves.

It starts on another core while the program still imports torch, so nothing here may import more than Ray.
`tuner.execution.ray.local_cluster` starts it and communicates through its standard input and output.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .auth import keep_token_private
from .local_cluster import FAILED, describe_start_failure
from .session_dir import make_session_dir, remove_session_dirs
from .settings import Node, ray, ray_constants

_FOR_OTHERS = ("start_monitor", "start_log_monitor", "start_api_server")
"""Methods that start processes which an embedded cluster does not use."""


def _nothing(node: Node, **_: object) -> None:
    """Replace a process that is not needed."""


@contextmanager
def for_one_program() -> Iterator[None]:
    """Inside the block, make a new cluster listen on 127.0.0.1 only and start no process that serves others.

    By default Ray uses the machine's own address. It uses loopback on macOS and Windows only; on Linux it replaces even
    an explicit loopback address, also when it merely connects.

    It would also start three Python programs, each as slow to import as the part that does the work, and wait for one
    of them: the autoscaler, the log monitor that sends logs to drivers, and the dashboard process, which counts uses of
    Ray even without a dashboard.
    """
    ours: list[tuple[Any, str, object]] = [(ray_constants, "ENABLE_RAY_CLUSTER", False)]
    ours += [(Node, name, _nothing) for name in _FOR_OTHERS if hasattr(Node, name)]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in ours]
    try:
        for owner, name, value in ours:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def serve(num_cpus: int) -> None:
    """Start a cluster, print its address, and stop the cluster when standard input is closed.

    Args:
        num_cpus: cores for the cluster's trials, >= 1.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the program's; it needs the cluster until release
    try:
        with for_one_program():
            ray.init(
                address="local",
                _temp_dir=make_session_dir(),
                num_cpus=num_cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=True,
                _system_config={"prestart_worker_first_driver": False},  # this process submits no work
            )
        keep_token_private()  # Ray writes a token if there is none
    except Exception as error:  # Ray raises bare exceptions when its processes start too slowly
        print(FAILED + describe_start_failure(error), flush=True)
    else:
        print(ray.get_runtime_context().gcs_address, flush=True)
        sys.stdin.read()
    finally:
        ray.shutdown()
        remove_session_dirs()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
