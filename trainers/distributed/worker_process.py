"""The program of a worker on this machine, started by `trainers.distributed.local_workers`.

What takes long, and may fail, is imported once the connection stands, so that the failure can be reported.
"""

import os
import sys
from multiprocessing.connection import Connection
from typing import NoReturn


def main() -> None:
    """Join the process group, and do what is asked until the connection ends or a task fails."""
    connection = Connection(int(sys.argv[1]))
    try:
        from ..applications.registry import register_application
        from ..loop import train_as_worker
        from .local_workers import TrainTask, receive, send
        from .rendezvous import LOOPBACK, join_process_group
    except Exception as error:  # a package that is missing or broken for this process alone
        _fail(connection, error)
    if (start := receive(connection)) is None:
        return
    rank, rendezvous, device = start
    send(connection, "ready")
    with join_process_group(rank, rendezvous, device=device, address=LOOPBACK) as process_group:
        send(connection, "joined")
        while True:
            try:
                if (task := receive(connection)) is None:  # imports what the task names
                    return
                if isinstance(task, TrainTask):
                    if task.application is not None:
                        register_application(task.application)
                    train_as_worker(task.config, task.placement, process_group)
                else:
                    function, arguments = task
                    function(process_group, *arguments)
            except Exception as error:  # a model or a data set may raise anything
                _fail(connection, error)


def _fail(connection: Connection, error: Exception) -> NoReturn:
    """Report what failed, and end: the connections close with the process, so that the others stop waiting for it."""
    try:
        connection.send(f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
