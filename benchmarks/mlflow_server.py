"""An MLflow server for benchmarks, which can be killed and restarted."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from zerotune.tuner.store import ui_command

ANSWER_SECONDS = 120.0


class Server:
    """An MLflow server that can be killed and restarted on the same port and store."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"http://127.0.0.1:{self._port}"
        self.database = f"sqlite:///{folder / 'server.db'}"

    @property
    def is_up(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None

    def start(self, *, wait: bool = False) -> None:
        """Start the server; with `wait`, return only when it answers."""
        words, environment = ui_command(self.database, self._port)
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                words, env=environment, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + ANSWER_SECONDS
        while wait and time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill the server and its workers at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
