"""`python -m zerotune.trainers.distributed.worker_process`: a worker's process of a gang on one machine, started by
`trainers.distributed.local_workers`."""

import os
import sys
from multiprocessing.connection import Connection

from ..applications.registry import register_application
from ..loop import follow
from .local_workers import Task, receive, send
from .rendezvous import LOOPBACK, joined


def main() -> None:
    """Joins the gang and does what it is told, until its line ends or a training fails."""
    line = Connection(int(sys.argv[1]))
    if (told := receive(line)) is None:
        return
    rank, meeting, device = told
    send(line, "ready")
    with joined(rank, meeting, device=device, address=LOOPBACK) as gang:
        send(line, "joined")
        while (task := receive(line)) is not None:
            try:
                if isinstance(task, Task):
                    if task.application is not None:
                        register_application(task.application)
                    follow(task.config, task.placement, gang)
                else:
                    part, arguments = task
                    part(gang, *arguments)
            except Exception as error:  # whatever a model or a data set raises
                send(line, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
                os._exit(1)  # its connections end with it, and so does what the others wait for


if __name__ == "__main__":
    main()
