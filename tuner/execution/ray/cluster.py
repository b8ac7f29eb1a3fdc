"""Connect to a Ray cluster: an embedded local one or an existing one."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import current_thread, main_thread

from ....trainers.child_process import hide_folders
from ....trainers.interrupts import waiting_for
from ...errors import BadInput
from ..trial_runner import Execution
from .attach import attach, inspect_machines
from .auth import enable_local_token
from .local_cluster import LocalHead, describe_start_failure, make_start_error, take
from .local_head import for_one_program
from .session_dir import remove_session_dirs
from .settings import ray


@dataclass(frozen=True, kw_only=True)
class Slots:
    """Capacity for trials.

    Attributes:
        total: trials that fit at once.
        per_machine: workers that fit at once on the machine with the most room.
        notes: about the cluster, to show to the user.
    """

    total: int
    per_machine: int
    notes: Sequence[str] = ()


@contextmanager
def connect(execution: Execution) -> Iterator["Slots"]:
    """Connect to the cluster for the duration of a study.

    Raises:
        Unreachable: the address does not answer, or its Ray cluster cannot be joined.
        BadInput: no machine of the cluster could ever run a trial of this size, or a machine lacks what the study
            needs.
    """
    on_terminate = signal.getsignal(signal.SIGTERM)
    head = take(execution.local_cores) if execution.address is None else None
    try:
        if head is not None:
            _connect_to_local(head)
        else:
            assert execution.address is not None
            attach(execution.address)
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, on_terminate)  # Ray's own handler would end the program silently
        slots, most_on_one = _slots(execution)
        notes = () if execution.address is None else inspect_machines(execution)
        yield Slots(total=slots, per_machine=most_on_one, notes=notes)
    finally:
        with waiting_for("Ray's workers to stop"):
            ray.shutdown()
            if head is not None:
                head.stop()
        remove_session_dirs()


def _connect_to_local(head: LocalHead) -> None:
    """Connect to an embedded cluster.

    Raises:
        Unreachable: the cluster could not be started.
    """
    address = head.address()
    enable_local_token()
    try:
        with for_one_program(), hide_folders():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=True)
    except Exception as error:  # Ray raises bare exceptions
        raise make_start_error(describe_start_failure(error)) from None


def _slots(execution: Execution) -> tuple[int, int]:
    """Count the trials that fit at once, machine by machine, and the workers that fit on a single machine."""
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
