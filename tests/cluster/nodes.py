"""Ray clusters of several machines on one: real `ray start`, a separate loopback address for each, and a token."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil
import pytest

PATIENCE_SECONDS = 90
RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()")

MARKS = [
    pytest.mark.ray,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ray start on loopback is tested on Linux only"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Nodes:
    """A cluster whose machines can be added and killed. Others may run beside it: every port is a free one.

    Args:
        folder: for the cluster's token and logs.
        head_cpus: cores of the head.
        options: of `ray start --head`, in place of those of a cluster without a dashboard.
        variables: environment of the machines and of commands that use the cluster, beside its token.
    """

    def __init__(
        self,
        folder: Path,
        *,
        head_cpus: int = 2,
        options: tuple[str, ...] = ("--include-dashboard=false",),
        **variables: str,
    ) -> None:
        self._folder = folder
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        token = folder / "token"
        token.write_text(secrets.token_hex(24))
        token.chmod(0o600)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_prestart_worker_first_driver": "0",  # a study starts the workers that it needs
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),  # a job's Python
            **variables,
        }
        self.client_address = f"127.0.0.1:{free_port()}"
        self.address = f"127.0.0.1:{free_port()}"
        ports = (
            f"--port={self.address.split(':')[1]}",
            f"--ray-client-server-port={self.client_address.split(':')[1]}",
        )
        # Its jobs look up its address in a folder of its own, since others run beside it; sockets need a short path.
        self._own = tempfile.TemporaryDirectory(prefix="zr-", dir="/tmp", ignore_cleanup_errors=True)
        self._start("127.0.0.1", head_cpus, ("--head", f"--temp-dir={self._own.name}", *ports, *options))

    def add(self, host: str, *, cpus: int) -> None:
        """Add a machine to the cluster."""
        self._start(host, cpus, (f"--address={self.address}",))

    def kill(self, host: str) -> None:
        """Kill a machine: all of its processes at once."""
        node = self._nodes.pop(host)
        for process in (*psutil.Process(node.pid).children(recursive=True), psutil.Process(node.pid)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        node.wait()

    def _start(self, host: str, cpus: int, options: tuple[str, ...]) -> None:
        command = [*RAY, "start", "--block", "--disable-usage-stats"]
        command += [f"--node-ip-address={host}", f"--num-cpus={cpus}", *options]
        command += [f"--dashboard-agent-listen-port={free_port()}", "--min-worker-port=0", "--max-worker-port=0"]
        log = self._folder / f"{host}-{secrets.token_hex(2)}.log"
        with log.open("wb") as output:
            node = subprocess.Popen(command, env=self.environment, stdout=output, stderr=output, start_new_session=True)
        self._nodes[host] = node
        deadline = time.monotonic() + PATIENCE_SECONDS
        while b"Ray runtime started" not in log.read_bytes():
            if node.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"ray start gave up: {log.read_text()[-2000:]}")
            time.sleep(0.2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for node in reversed(self._nodes.values()):
            node.send_signal(signal.SIGTERM)  # never `ray stop`, which ends every Ray on the machine
            try:
                node.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(node.pid, signal.SIGKILL)
        self._own.cleanup()


def zerotune(
    folder: Path, environment: dict[str, str] | None, *arguments: str, program: tuple[str, ...] = ("-m", "zerotune")
) -> "subprocess.Popen[str]":
    """Start the command line, in this environment if one is given."""
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output(process: "subprocess.Popen[str]", seconds: float = 300) -> str:
    """Return all that a command writes, once it has ended."""
    try:
        return process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"still running after {seconds} s:\n{process.communicate()[0][-3000:]}")


@contextlib.contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """Yield a command and kill it if the test fails."""
    try:
        yield process
    finally:
        process.kill()
