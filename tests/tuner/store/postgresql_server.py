"""A temporary PostgreSQL server on a loopback port, if its programs are installed."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 60
USER = "ann"


def programs() -> Path | None:
    """Return the folder with initdb and postgres, or None."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return Path(found).resolve().parent if found else next(iter(folders), None)


def unprivileged_user() -> str | None:
    """Return the user to run the server as, because PostgreSQL refuses root; None for the current user."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


class PostgresqlServer:
    """A password-protected server that can be killed and restarted at the same address.

    Args:
        folder: folder of its data, accessible to the user it runs as.
        password: password of its database user, ann.
    """

    def __init__(self, folder: Path, password: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._programs = programs() or Path()
        self._user = unprivileged_user()
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        secret = folder / "password"
        secret.write_text(password, encoding="utf-8")
        if self._user is not None:
            for path in (folder, secret):
                shutil.chown(path, self._user)
        subprocess.run(
            [self._programs / "initdb", "-D", self._data, "-U", USER, "--pwfile", secret, "--auth", "scram-sha-256"],
            check=True,
            capture_output=True,
            user=self._user,
            cwd=folder,
        )

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        argv = [self._programs / "postgres", "-D", self._data, "-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        silent = subprocess.DEVNULL
        self._process = subprocess.Popen(argv, user=self._user, cwd=self._data, stdout=silent, stderr=silent)
        deadline = time.monotonic() + PATIENCE_SECONDS
        asking = [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(asking, check=False).returncode != 0:
            assert time.monotonic() < deadline, "the server did not start"
            assert self._process.poll() is None, "the server ended"
            time.sleep(0.2)

    def end(self) -> None:
        """Stop the server and its connections immediately, if running."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: an immediate shutdown, as after a power failure
            self._process.wait(timeout=30)
            self._process = None


@contextmanager
def postgresql_server(password: str) -> Iterator[PostgresqlServer]:
    """Yield a running server, with a folder of its own that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="zerotune-postgresql-") as folder:
        server = PostgresqlServer(Path(folder), password)
        try:
            server.start()
            yield server
        finally:
            server.end()
