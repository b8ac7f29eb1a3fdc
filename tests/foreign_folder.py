"""A user's folder whose files are named like packages and modules; none may be imported in place of the real one."""

import os
from pathlib import Path

from tests.user_applications import STUDY, write

FOREIGN = 'raise RuntimeError("FOREIGN CODE WAS RUN: " + __file__)\n'
SHADOWING = ("tuner.py", "queue.py", "selectors.py", "optuna.py", "mlflow.py", "plotly.py", "kaleido.py")
NEIGHBOUR = '''"""The user's own package `trainers`."""

from torch import nn


class Sides(nn.Linear):
    def __init__(self):
        super().__init__(8, 2)
'''
NUM_TRIALS = 5
OWN_CLASS = """class Sides(nn.Linear):
    def __init__(self):
        super().__init__(8, 2)
"""


def write_shadowing_files(folder: Path) -> None:
    """Write files that raise when they are imported in place of packages and modules of the standard library."""
    folder.mkdir(exist_ok=True)
    for name in SHADOWING:
        (folder / name).write_text(FOREIGN, encoding="utf-8")


def write_foreign_folder(folder: Path, current: Path | None = None, *, resources: str = "") -> dict[str, str]:
    """Write such a folder, with an application `plane.py:sides` that imports its neighbour `trainers.net`.

    Args:
        folder: an existing folder.
        current: folder of the files that must not be imported, if not the same; created if missing.
        resources: the study's resources, as YAML.

    Returns:
        An environment whose PYTHONPATH lists the folder first, as a user's script would need it.
    """
    write(folder, OWN_CLASS, "from trainers.net import Sides\n")
    study = STUDY.replace("seeds: [1, 2]", "seeds: [1]") + (f"resources: {resources}\n" if resources else "")
    (folder / "plane.yaml").write_text(study, encoding="utf-8")
    (folder / "trainers").mkdir()
    (folder / "trainers/__init__.py").touch()
    (folder / "trainers/net.py").write_text(NEIGHBOUR, encoding="utf-8")
    write_shadowing_files(current or folder)
    further = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *further])}
