"""The MLflow server that `zerotune ui` starts, running during a test."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.foreign_folder import write_shadowing_files
from zerotune.tuner.store import ui_command

PATIENCE_SECONDS = 90


class MlflowServer:
    """An MLflow server that can be killed and restarted at the same address.

    It starts in a folder whose files are named like packages, as a user's may be: none may be imported.

    Args:
        tracking_uri: the store it serves.
        folder: folder of its log.
    """

    def __init__(self, tracking_uri: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._command = ui_command(tracking_uri, self.port)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        argv, environment = self._command
        current = self._folder / "current"
        write_shadowing_files(current)
        log = self._folder / "server.log"
        with log.open("w") as output:
            self._process = subprocess.Popen(
                argv,
                env=environment,
                cwd=current,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _wait_until_it_answers(f"http://127.0.0.1:{self.port}/health", self._process, log)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server and its workers, if running."""
        if self._process is not None:
            os.killpg(self._process.pid, number)
            self._process.wait(timeout=30)
            self._process = None


@contextmanager
def mlflow_server(tracking_uri: str, folder: Path) -> Iterator[int]:
    """Serve the store on a free port and yield the port; the server's log is written to `folder`."""
    server = MlflowServer(tracking_uri, folder)
    try:
        server.start()
        yield server.port
    finally:
        server.end()


def _wait_until_it_answers(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"no MLflow server at {address}: {log.read_text()[-2000:]}")
