"""The MLflow server that `zerotune ui` starts, for the length of a test."""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuner.store import ui_command

PATIENCE_SECONDS = 90


@contextmanager
def mlflow_server(tracking_uri: str, folder: Path) -> Iterator[int]:
    """Serves the store on a free port, which it yields; the server's log goes to `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    argv, environment = ui_command(tracking_uri, port)
    log = folder / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(argv, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/health", server, log)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_until_it_answers(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"no MLflow server at {address}: {log.read_text()[-2000:]}")
