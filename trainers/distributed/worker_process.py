"""The program of a worker on this machine, started by `trainers.distributed.local_workers`."""

import os
import sys
from multiprocessing.connection import Connection

from ..applications.registry import register_application
from ..loop import train_as_worker
from .local_workers import TrainTask, receive, send
from .rendezvous import LOOPBACK, join_process_group


def main() -> None:
    """Join the process group, and do what is asked until the connection ends or a task fails."""
    connection = Connection(int(sys.argv[1]))
    if (start := receive(connection)) is None:
        return
    rank, rendezvous, device = start
    send(connection, "ready")
    with join_process_group(rank, rendezvous, device=device, address=LOOPBACK) as process_group:
        send(connection, "joined")
        while (task := receive(connection)) is not None:
            try:
                if isinstance(task, TrainTask):
                    if task.application is not None:
                        register_application(task.application)
                    train_as_worker(task.config, task.placement, process_group)
                else:
                    function, arguments = task
                    function(process_group, *arguments)
            except Exception as error:  # a model or a data set may raise anything
                send(connection, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
                os._exit(1)  # closes its connections, so that the others stop waiting for it


if __name__ == "__main__":
    main()
