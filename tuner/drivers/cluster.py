"""A Ray cluster: an embedded local one, or an existing one that is attached to."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread, current_thread, main_thread
from typing import Any

from tuner.drivers.attach import attach, looked_over
from tuner.drivers.ray_settings import Node, ray, ray_constants
from tuner.drivers.session_folder import new_session_folder, remove_session_folders
from tuner.drivers.token import keep_token_private
from tuner.drivers.work import Execution
from tuner.errors import BadInput, Unreachable


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Room for trials.

    Attributes:
        in_all: trials that fit at once.
        on_one_machine: workers of trials that fit at once on the machine where most of them fit.
        notes: sentences worth showing about the cluster.
    """

    in_all: int
    on_one_machine: int
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class _Start:
    """A local cluster being started on a thread of its own.

    The thread stays until the cluster is shut down: Linux ends Ray's processes with the thread that started them.
    """

    done: Future[None] = field(default_factory=Future)
    over: Event = field(default_factory=Event)

    def run(self, execution: Execution) -> None:
        try:
            _start_local(execution)
        except BaseException as error:  # whatever it is, it is raised where the cluster is needed
            self.done.set_exception(error)
        else:
            self.done.set_result(None)
            self.over.wait()


_FOR_OTHERS = ("start_monitor", "start_log_monitor", "start_api_server")
"""What starts a program that an embedded cluster has no use for."""

_ahead: list[_Start] = []
"""The start of a local cluster that nobody has connected to yet; one at most."""


@contextmanager
def started_ahead(execution: Execution) -> Iterator[None]:
    """Starts a local cluster while the caller gets ready for it, and stops it where it is not needed after all.

    Starting takes seconds in which this process mostly waits. What goes wrong is told by `connected`; nothing is
    started where an existing cluster is to be joined.
    """
    if execution.address is not None:
        yield
        return
    start = _Start()
    Thread(target=start.run, args=(execution,), name="ray-start", daemon=True).start()
    _ahead.append(start)
    try:
        yield
    finally:
        if start in _ahead:  # nobody has connected
            _ahead.remove(start)
            wait([start.done])
            _shut_down()
        start.over.set()


@contextmanager
def connected(execution: Execution) -> Iterator["Slots"]:
    """A connection to the cluster for the length of a study.

    Raises:
        Unreachable: the address does not answer, or its Ray cannot be joined.
        BadInput: no machine of the cluster could ever run a trial of this size, or one of them lacks what the study
            needs.
    """
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        if execution.address is None:
            if _ahead:
                _ahead.pop().done.result()
            else:
                _start_local(execution)
        else:
            attach(execution.address)
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, on_terminate)  # Ray's own would end the program without a word
        slots, most_on_one = _slots(execution)
        notes = () if execution.address is None else looked_over(execution)
        yield Slots(in_all=slots, on_one_machine=most_on_one, notes=notes)
    finally:
        _shut_down()


def _shut_down() -> None:
    ray.shutdown()
    remove_session_folders()


def _nothing(node: Node, **_: object) -> None:
    """In the place of a process that is not needed."""


@contextmanager
def _for_one_program() -> Iterator[None]:
    """Inside, a cluster that is started listens on 127.0.0.1 alone, and has no process that serves others.

    Ray would choose the machine's own address; it takes loopback on macOS and Windows only, and on Linux replaces even
    one that it is given. And it would start three programs of Python, one of them waited for, which take as long to
    import what they need as all that does the work: the autoscaler's, the one that sends logs to drivers, and the
    dashboard's, which without a dashboard counts uses of Ray.
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


def _start_local(execution: Execution) -> None:
    cores = max(os.cpu_count() or 1, execution.cpus_per_trial * execution.workers_per_trial)
    try:
        with _for_one_program():
            ray.init(
                address="local",
                _temp_dir=new_session_folder(),
                num_cpus=cores,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                configure_logging=True,
            )
    except Exception as error:  # Ray raises bare ones where its processes do not start in time
        reason = str(error).strip().split("\n")[0]
        raise Unreachable(
            f"a local Ray cluster could not be started: {reason} Run it again when the machine is less busy, or with "
            "--driver serial"
        ) from None
    keep_token_private()  # Ray makes one where there is none


def _slots(execution: Execution) -> tuple[int, int]:
    """How many trials fit at once, by each machine's own resources, and how many workers on one machine at most."""
    fits = [0]
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        resources = node["Resources"]
        by_cpu = int(resources.get("CPU", 0) // execution.cpus_per_trial)
        by_gpu = by_cpu if execution.gpus_per_trial == 0 else int(resources.get("GPU", 0) / execution.gpus_per_trial)
        fits.append(min(by_cpu, by_gpu))
    num_workers = execution.workers_per_trial
    fit = sum(fits) // num_workers
    if fit == 0:
        asked = f"{execution.cpus_per_trial} CPUs and {execution.gpus_per_trial:g} GPUs"
        if num_workers > 1:
            raise BadInput(
                f"resources: a trial asks for {num_workers} workers with {asked} each, and the cluster has room for "
                f"{sum(fits)} of them: ask for less, or attach to another cluster"
            )
        have = {k: v for k, v in ray.cluster_resources().items() if k in ("CPU", "GPU")}
        raise BadInput(
            f"resources: a trial asks for {asked}, and no machine of the cluster has that (in all it has {have}): ask "
            "for less, or attach to another cluster"
        )
    most = execution.max_concurrent or fit
    return min(fit, most), min(max(fits), most * num_workers)
