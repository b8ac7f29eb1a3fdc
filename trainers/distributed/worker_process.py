"""The program of a worker on this machine, started by `trainers.distributed.local_workers`.

What takes long, and may fail, is imported once the connection stands, so that the failure can be reported.
"""

import os
import sys
import time
from multiprocessing.connection import Connection
from threading import Thread
from typing import NoReturn

PROBE_SECONDS = 1.0
"""How often a worker looks whether the process that started it still runs."""


def main() -> None:
    """Join the process group, and do what is asked until the connection ends or a task fails."""
    Thread(target=_end_with, args=(os.getppid(),), name="parent-watch", daemon=True).start()
    connection = Connection(int(sys.argv[1]))
    try:
        from ..applications.failure import describe_error
        from ..applications.registry import register_application
        from ..loop import train_as_worker
        from .local_workers import TrainTask, receive, send
        from .rendezvous import LOOPBACK, join_process_group
    except Exception as error:  # a package that is missing or broken for this process alone
        _fail(connection, f"{type(error).__name__}: {' '.join(str(error).split())[:500]}")
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
            except BaseException as error:  # a model or a data set may raise anything
                _fail(connection, describe_error(error))


def _end_with(parent: int) -> None:
    """End this process, whatever it is doing, once its parent has ended."""
    while os.getppid() == parent:
        time.sleep(PROBE_SECONDS)
    os._exit(1)


def _fail(connection: Connection, problem: str) -> NoReturn:
    """Report what failed, and end: the connections close with the process, so that the others stop waiting for it."""
    try:
        connection.send(problem)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
