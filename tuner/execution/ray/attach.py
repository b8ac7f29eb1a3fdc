"""Attach to a running Ray cluster: compare the versions, then check that every machine can run the study.

With Ray's client (ray://HOST:PORT) this program runs outside the cluster and sends every request through one port.
Ray Tune would then move itself into the cluster with a pickled copy of its arguments, and the workers' messages would
never come back. `_remote=False` in `tuner.execution.ray.tune_worker` keeps it here. Tune then looks for a folder that
only machines of the cluster have, which `run_tune_locally` replaces.
"""

import platform
import socket
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from .settings import HAS_TOKEN, ray  # before Ray itself, which reads its settings on import

# isort: split
from ray.exceptions import RayError
from ray.train._internal import storage
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ....trainers.child_process import hide_folders
from ...errors import BadInput, Unreachable
from ..preflight import Findings, Inspection, check_findings, inspect_machine
from ..trial_runner import Execution
from .auth import warn_without_token
from .health_check import format_lost_cluster
from .jobs import runtime_environment

CONNECT_SECONDS = 60.0
"""Time limit for the cluster's answer; Ray's client needs 40 s to notice that its server process has died."""
JOIN_ATTEMPTS = 3
"""Attempts to connect, since the process that the cluster starts for each ray:// client may die before it answers."""
_CLIENT_SCHEME = "ray://"
INSPECT_SECONDS = 300.0
"""Time limit for the machines to get ready: first use of the package there, and a download of the data."""


def attach(address: str) -> None:
    """Join an existing cluster and ship this package to its workers.

    Args:
        address: "auto", HOST:PORT or ray://HOST:PORT.

    Raises:
        BadInput: the address is malformed.
        Unreachable: nothing answers there, the cluster requires a token, or it runs another version of Ray or Python.
    """
    _check_port(address)
    token = "the token here is the right one" if HAS_TOKEN else "it requires a token (RAY_AUTH_TOKEN_PATH=FILE)"
    for attempts_left in reversed(range(JOIN_ATTEMPTS)):
        try:
            with hide_folders():
                _start_joining(address).result(timeout=CONNECT_SECONDS)
            return
        except FutureTimeout:
            raise Unreachable(
                f"--address {address}: the Ray cluster did not answer within {CONNECT_SECONDS:.0f} s: check that it "
                f"runs, and whether {token}"
            ) from None
        except (ConnectionError, RayError, RuntimeError, ValueError) as error:
            # Aborted: gRPC threads and fork can conflict where the cluster starts a process for each client.
            if not (isinstance(error, ConnectionAbortedError) and attempts_left):
                reason = _reason(error)
                hint = f": check whether {token}" if "Failed to connect" in reason else ""  # Ray says no more
                raise Unreachable(f"--address {address}: cannot join the Ray cluster: {reason}{hint}") from None


def _start_joining(address: str) -> Future[None]:
    """Connect in another thread, since the call may never return."""
    connected: Future[None] = Future()

    def join() -> None:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", runtime_env=runtime_environment())
        except BaseException as error:  # raised where the result is requested
            connected.set_exception(error)
        else:
            connected.set_result(None)

    # A daemon, because a waiting pool thread would block the program's exit.
    Thread(target=join, name="ray-join", daemon=True).start()
    return connected


def _reason(error: Exception) -> str:
    """Return the first line of Ray's message, plus a traceback's last line; for a version mismatch, both versions."""
    text = str(error).strip()
    if "Version mismatch" not in text:
        first, _, others = text.partition("\n")
        return f"{first} {others.splitlines()[-1].strip()}" if first.endswith(":") and others else first
    versions = [line.strip() for line in text.splitlines() if line.strip().startswith(("Ray:", "Python:"))]
    there, here = " and ".join(versions[:2]), " and ".join(versions[2:])
    return f"it runs {there}, and this program {here}: both must be the same on both sides".replace(":", "", 4)


def _check_port(address: str) -> None:
    """Find out in seconds that nothing listens, where Ray itself would wait for minutes."""
    if address == "auto":
        return
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not port.isdigit():
        raise BadInput(f"--address {address}: must be auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except UnicodeError:  # from a name such as 10.0..1
        raise BadInput(f"--address {address}: its host is invalid") from None
    except (OSError, OverflowError) as error:
        raise Unreachable(
            f"--address {address}: nothing answers there ({error}): is the cluster up, and the port right?"
        ) from None


def inspect_machines(execution: Execution) -> Sequence[str]:
    """Inspect every machine of the cluster and check that a trial can run there.

    Returns:
        Notes to show to the user.

    Raises:
        BadInput: a trial cannot run on one of the machines.
        Unreachable: a machine does not answer.
    """
    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    probe = _probe(execution.checkpoints)
    inspection = make_inspection(execution, probe)
    task = ray.remote(num_cpus=0, max_retries=0)(inspect_machine)
    try:
        waiting = {
            node: task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(inspection)
            for node in nodes
        }
        findings: dict[str, Findings] = dict(
            zip(nodes.values(), ray.get(list(waiting.values()), timeout=INSPECT_SECONDS), strict=True)
        )
    except RayError as error:
        raise Unreachable(
            f"--address {execution.address}: a machine could not be inspected: {_reason(error)}"
        ) from None
    finally:
        if probe is not None:
            with suppress(OSError):
                probe.unlink()
    have = ray.cluster_resources()
    amounts = [f"{have.get(name, 0):g} {name}s" for name in ("CPU", "GPU")]
    machines = f"{len(nodes)} machine{'s' if len(nodes) > 1 else ''}"
    return (
        f"Ray {ray.__version__} and Python {platform.python_version()} here and on the cluster at {execution.address}: "
        f"{machines}, {' and '.join(amounts)}; token authentication {'on' if HAS_TOKEN else 'off'}",
        *(() if HAS_TOKEN else warn_without_token(findings)),
        *check_findings(findings),
    )


def make_inspection(execution: Execution, probe: Path | None = None) -> Inspection:
    """Return what a machine checks before it trains anything."""
    return Inspection(
        workload=execution.workload,
        data_folder=execution.data_folder,
        application=execution.application,
        probe=None if probe is None else str(probe),
    )


def _probe(checkpoints: Path | None) -> Path | None:
    """Create a new file in the checkpoint folder, or return None without such a folder."""
    if checkpoints is None:
        return None
    checkpoints.mkdir(parents=True, exist_ok=True)
    file = checkpoints / f"seen-{uuid.uuid4().hex}"
    file.touch()
    return file


def client_port(address: str | None) -> str | None:
    """Return HOST:PORT of the cluster's client port, or None if this program is not a Ray client.

    >>> client_port("ray://head:10001"), client_port("head:6379"), client_port(None)
    ('head:10001', None, None)
    """
    return address.removeprefix(_CLIENT_SCHEME) if address is not None and address.startswith(_CLIENT_SCHEME) else None


@contextmanager
def run_tune_locally(address: str | None, folder: str) -> Iterator[None]:
    """Run Ray Tune in this program inside the block, whether or not it is on a machine of the cluster.

    Args:
        address: of the cluster, as the user gave it.
        folder: for Tune's own files, in place of the folder that exists only on the cluster's machines.

    Raises:
        Unreachable: the client lost its connection and Ray failed to restore it within half a minute.
    """
    before = storage._get_ray_train_session_dir
    storage._get_ray_train_session_dir = lambda: folder
    try:
        yield
    except Exception:  # Ray's client raises bare exceptions, and Tune others that follow from them
        port = client_port(address)
        if port is None or ray.util.client.ray.is_connected():
            raise
        raise Unreachable(format_lost_cluster(port)) from None
    finally:
        storage._get_ray_train_session_dir = before
