"""The head of an embedded Ray cluster: a process of its own that ends with the program that it serves.

It starts on another core while the program still imports torch; so nothing here may import more than Ray.
`tuner.execution.ray.local_cluster` starts it, and talks with it through its standard input and output.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .auth import keep_token_private
from .local_cluster import FAILED
from .session_dir import make_session_dir, remove_session_dirs
from .settings import Node, ray, ray_constants

_FOR_OTHERS = ("start_monitor", "start_log_monitor", "start_api_server")
"""What starts a program that an embedded cluster has no use for."""


def _nothing(node: Node, **_: object) -> None:
    """In the place of a process that is not needed."""


@contextmanager
def for_one_program() -> Iterator[None]:
    """Inside, a cluster that is started listens on 127.0.0.1 alone, and has no process that serves others.

    Ray would choose the machine's own address; it takes loopback on macOS and Windows only, and on Linux replaces even
    one that it is given, also where it only connects. And it would start three programs of Python, one of them waited
    for, which take as long to import what they need as all that does the work: the autoscaler's, the one that sends
    logs to drivers, and the dashboard's, which without a dashboard counts uses of Ray.
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
    """Starts a cluster, writes its address, and takes it down when the standard input is closed.

    Args:
        num_cpus: cores that its trials may have, 1 or more.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the program's; the cluster is needed until it lets go
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
                _system_config={"prestart_worker_first_driver": False},  # this process gives its cluster no work
            )
        keep_token_private()  # Ray makes one where there is none
    except Exception as error:  # Ray raises bare ones where its processes do not start in time
        print(FAILED + str(error).strip().split("\n")[0], flush=True)
    else:
        print(ray.get_runtime_context().gcs_address, flush=True)
        sys.stdin.read()
    finally:
        ray.shutdown()
        remove_session_dirs()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
