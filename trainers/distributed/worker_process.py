"""`python -m zerotune.trainers.distributed.worker_process`: a worker on one machine, started by `local_workers`."""

import os
import sys
from multiprocessing.connection import Connection

from ..applications.registry import register_application
from ..loop import train_as_worker
from .local_workers import TrainTask, receive, send
from .rendezvous import LOOPBACK, join_process_group


def main() -> None:
    """Joins the process group and does what it is told, until its line ends or a training fails."""
    connection = Connection(int(sys.argv[1]))
    if (told := receive(connection)) is None:
        return
    rank, rendezvous, device = told
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
                    part, arguments = task
                    part(process_group, *arguments)
            except Exception as error:  # whatever a model or a data set raises
                send(connection, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
                os._exit(1)  # its connections end with it, and so does what the others wait for


if __name__ == "__main__":
    main()
