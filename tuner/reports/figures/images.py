"""PNG and SVG files of figures, rendered by a browser in a child process with a time limit.

A browser can hang or be missing, and neither may cost a study its other files. Run as a module, this file is that child
process: it reads a JSON list of figures from its standard input.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from ....trainers.child_process import command_of

START_SECONDS = 60.0
PICTURE_SECONDS = 10.0
"""A browser starts in a few seconds and renders an image in about one; a busy machine takes several times as long."""
FORMATS = ("png", "svg")
_NO_BROWSER = 4


def write_images(
    figures: Mapping[str, go.Figure],
    to: Path,
    *,
    formats: Sequence[str] = FORMATS,
    time_limit: float | None = None,
) -> tuple[list[Path], str | None]:
    """Render figures to NAME.png and NAME.svg.

    Args:
        figures: figures by file name without suffix.
        to: an existing folder.
        formats: the suffixes to write, from `FORMATS`.
        time_limit: seconds after which the child and its browser are stopped; None for a limit by the number of images.

    Returns:
        The files and None, or no file and a sentence with the reason and what to do.
    """
    paths = [to / f"{name}.{ending}" for name in figures for ending in formats]
    orders = [
        {"figure": json.loads(figure.to_json()), "path": str((to / f"{name}.{ending}").resolve()), "format": ending}
        for name, figure in figures.items()
        for ending in formats
    ]
    if time_limit is None:
        time_limit = START_SECONDS + PICTURE_SECONDS * len(orders)
    for path in paths:
        path.unlink(missing_ok=True)
    child = subprocess.Popen(
        command_of(__name__),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that the browser is stopped with the child
        text=True,
    )
    try:
        _, errors = child.communicate(json.dumps(orders), timeout=time_limit)
    except subprocess.TimeoutExpired:
        errors = f"the browser took more than {time_limit:g} s"
    finally:
        _end(child)
    if child.returncode == 0 and all(path.is_file() for path in paths):
        return paths, None
    for path in paths:
        path.unlink(missing_ok=True)
    return [], _notice(child.returncode, errors)


def _end(child: "subprocess.Popen[str]") -> None:
    """Stop the child and every process that it started."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _notice(code: int | None, errors: str) -> str:
    start = "PNG and SVG files were not written:"
    if code == _NO_BROWSER:
        return f"{start} no Chrome or Chromium was found; install one, or name it in BROWSER_PATH."
    last = errors.strip().splitlines()[-1] if errors.strip() else f"the child process ended with {code}"
    return f"{start} {last}. HTML needs no browser and shows the same."


def _draw(orders: list[dict[str, Any]]) -> int:
    """Render the images in the child process and return its exit code."""
    import kaleido
    from choreographer.errors import ChromeNotFoundError

    pages = kaleido.PageGenerator(mathjax=False)  # the default fetches MathJax from a network
    figures = [
        {"fig": order["figure"], "path": order["path"], "opts": {"format": order["format"], "scale": _scale(order)}}
        for order in orders
    ]
    try:
        kaleido.write_fig_from_object_sync(figures, kopts={"page_generator": pages})
    except ChromeNotFoundError:
        return _NO_BROWSER
    return 0


def _scale(order: Mapping[str, Any]) -> int:
    return 2 if order["format"] == "png" else 1


if __name__ == "__main__":
    sys.exit(_draw(json.load(sys.stdin)))
