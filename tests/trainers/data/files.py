"""Folders of real data, a part of one of them, and a local web server of a folder's files for tests of downloads."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from zerotune.trainers.applications.gnmt import GNMT_WMT16
from zerotune.trainers.data.translation import PARTS


def data_set(data_folder: Path, name: str) -> Path:
    """Return the folder of a real data set; skip the test where it is absent."""
    if not (data_folder / name).is_dir():
        pytest.skip(f"no folder {name} in {data_folder}")
    return data_folder / name


def first_pairs(data_folder: Path, folder: Path, num_train: int, num_others: int) -> Path:
    """Write the first pairs of each part of Multi30K to a folder; skip where a package of GNMT is absent."""
    for package in GNMT_WMT16.packages:
        pytest.importorskip(package, reason=f"{package} is not installed")
    for part, count in zip(PARTS, (num_train, num_others, num_others), strict=True):
        for language in ("en", "de"):
            lines = (data_folder / "multi30k" / f"{part}.{language}").read_bytes().splitlines(keepends=True)
            (folder / f"{part}.{language}").write_bytes(b"".join(lines[:count]))
    return folder


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """Serve a folder's files inside the context; yield the address, without a trailing slash."""
    handler = partial(_QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
