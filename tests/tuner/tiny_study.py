"""A study of eight short LeNet trainings, in a folder where commands run as a new user would run them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.user_applications import CommandFolder
from zerotune.tuner.run.journal import JournalContent, read_journal

STUDY = """
name: tiny
question: Is [/red] it [bold] tiny?
application: lenet_mnist
data: {source: mnist5k}
epochs: 1
batch_sizes: [3000]
seeds: [1, 2]
reference: tuned
baseline: {batch_size: 1500, optimizer: momentum, lr: 0.01}
arms:
  - {name: tuned, method: optuna, trials: 2, space: {lr: {low: 0.01, high: 0.3, scale: log}}}
  - {name: sqrt, method: sqrt}
"""
NUM_TRIALS = 8
DEAD = "127.0.0.1:9"
ZEROTUNE = [sys.executable, "-m", "zerotune"]


class TinyStudyFolder(CommandFolder):
    """A current folder with the file tiny.yaml."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(folder, patch, capsys)
        self.study = folder / "tiny.yaml"
        self.study.write_text(STUDY, encoding="utf-8")

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command in its own process group, with Ctrl-C enabled however these tests were started."""
        return subprocess.Popen(
            [*ZEROTUNE, *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={**os.environ, "BROWSER_PATH": "/nonexistent"},
        )

    def journal(self) -> JournalContent:
        return read_journal(self.folder / "mlruns" / "tiny" / "journal.jsonl")
