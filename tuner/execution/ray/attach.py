"""Joining a Ray cluster that runs already: versions first, then whether every machine can run the study.

With Ray's client, ray://HOST:PORT, this program is on no machine of the cluster, and all it asks for goes through a
port. Ray Tune would send itself there, with a copy of what it was given, so that what the workers say would never come
back. It is kept here instead (`_remote=False` in `tuner.execution.ray.tune_worker`), where it looks for a folder that
only a machine of the cluster has.
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

from .settings import HAS_TOKEN, ray  # before Ray itself, which reads its settings then

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
"""How long a cluster may take to answer; Ray's client takes 40 to find out that what should serve it has died."""
JOIN_ATTEMPTS = 3
"""How often a cluster is asked, where the process that it starts for each client of ray:// dies before it answers."""
_CLIENT_SCHEME = "ray://"
INSPECT_SECONDS = 300.0
"""How long its machines may take to get ready: the first use of the package there, and a download of the data."""


def attach(address: str) -> None:
    """Joins an existing cluster, shipping this package to its workers.

    Args:
        address: "auto", HOST:PORT or ray://HOST:PORT.

    Raises:
        BadInput: the address is not one.
        Unreachable: nothing answers there, it asks for a token, or it runs another Ray or Python.
    """
    _check_port(address)
    token = "the token here is not its own" if HAS_TOKEN else "it asks for a token (RAY_AUTH_TOKEN_PATH=FILE)"
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
            # Aborted: gRPC's threads and fork do not always agree where the cluster starts a process for each client.
            if not (isinstance(error, ConnectionAbortedError) and attempts_left):
                reason = _reason(error)
                hint = f": check whether {token}" if "Failed to connect" in reason else ""  # all that Ray says of one
                raise Unreachable(f"--address {address}: cannot join the Ray cluster: {reason}{hint}") from None


def _start_joining(address: str) -> Future[None]:
    """Joins in another thread, which may wait for good."""
    connected: Future[None] = Future()

    def join() -> None:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", runtime_env=runtime_environment())
        except BaseException as error:  # whatever it is, it is raised where the result is asked for
            connected.set_exception(error)
        else:
            connected.set_result(None)

    # A daemon: the thread of a pool that still waits would hold up the end of the program.
    Thread(target=join, name="ray-join", daemon=True).start()
    return connected


def _reason(error: Exception) -> str:
    """The first line of what Ray says, with the last of a traceback that it announces; of differing versions, all."""
    text = str(error).strip()
    if "Version mismatch" not in text:
        first, _, others = text.partition("\n")
        return f"{first} {others.splitlines()[-1].strip()}" if first.endswith(":") and others else first
    versions = [line.strip() for line in text.splitlines() if line.strip().startswith(("Ray:", "Python:"))]
    there, here = " and ".join(versions[:2]), " and ".join(versions[2:])
    return f"it runs {there}, and this program {here}: both must be the same on both sides".replace(":", "", 4)


def _check_port(address: str) -> None:
    """Finds out in seconds that nothing listens, where Ray itself would wait for minutes."""
    if address == "auto":
        return
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not port.isdigit():
        raise BadInput(f"--address {address}: must be auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except UnicodeError:  # of a name such as 10.0..1
        raise BadInput(f"--address {address}: its host is not one") from None
    except (OSError, OverflowError) as error:
        raise Unreachable(
            f"--address {address}: nothing answers there ({error}): is the cluster up, and the port right?"
        ) from None


def inspect_machines(execution: Execution) -> Sequence[str]:
    """Looks at every machine of the cluster: what it is, and whether a trial can run there.

    Returns:
        Sentences worth showing.

    Raises:
        BadInput: a trial could not run on one of them.
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
            f"--address {execution.address}: a machine could not be looked at: {_reason(error)}"
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
    """What a machine is asked before it trains anything; `probe` as `Inspection` has it."""
    return Inspection(
        workload=execution.workload,
        data_folder=execution.data_folder,
        application=execution.application,
        probe=None if probe is None else str(probe),
    )


def _probe(checkpoints: Path | None) -> Path | None:
    """A new file where checkpoints go."""
    if checkpoints is None:
        return None
    checkpoints.mkdir(parents=True, exist_ok=True)
    file = checkpoints / f"seen-{uuid.uuid4().hex}"
    file.touch()
    return file


def client_port(address: str | None) -> str | None:
    """HOST:PORT of the cluster's port for clients; None where this program is no client.

    >>> client_port("ray://head:10001"), client_port("head:6379"), client_port(None)
    ('head:10001', None, None)
    """
    return address.removeprefix(_CLIENT_SCHEME) if address is not None and address.startswith(_CLIENT_SCHEME) else None


@contextmanager
def run_tune_locally(address: str | None, folder: str) -> Iterator[None]:
    """Inside, Ray Tune runs in this program, whether that is on a machine of the cluster or not.

    Args:
        address: the cluster's, as the user gave it.
        folder: where Tune keeps its own files, in the place of the folder that only the cluster's machines have.

    Raises:
        Unreachable: a client has lost its connection, and half a minute's attempts of Ray's to renew it were in vain.
    """
    before = storage._get_ray_train_session_dir
    storage._get_ray_train_session_dir = lambda: folder
    try:
        yield
    except Exception:  # Ray's client raises bare ones then, and other ones of Tune's follow from them
        port = client_port(address)
        if port is None or ray.util.client.ray.is_connected():
            raise
        raise Unreachable(format_lost_cluster(port)) from None
    finally:
        storage._get_ray_train_session_dir = before
