"""A study definition with every kind of part, and the messages for mistakes made in it."""

import pytest

from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import Study, study_from_text

TEXT = """\
name: example
application: lenet_mnist
data: {source: mnist5k}
epochs: 12
batch_sizes: [512, 128]
seeds: [1, 2]
reference: tuned
baseline:
  batch_size: 32
  optimizer: {name: momentum, momentum: 0.8}
  tune:
    method: grid
    space:
      lr: {low: 0.01, high: 0.04, scale: log, num: 3}
arms:
  - name: tuned
    method: optuna
    trials: 12
    space:
      lr: {low: 5e-3, high: 1, scale: log}
      momentum: {choices: [0.8, 0.9]}
      decay: {choices: [constant, poly]}
    fixed: {weight_decay: 0}
  - name: sqrt
    method: sqrt
  - name: date
    method: date
    baseline: {lr: 0.003, warmup_epochs: 0.25}
"""
SQRT = "  - name: sqrt\n    method: sqrt\n"
"""The text of an arm that may be omitted, duplicated or renamed."""


def edited(text: str, *edits: tuple[str, str]) -> Study:
    """Return the study after replacing the first occurrence of each old text with its new one."""
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return study_from_text(text, "x.yaml")


def study(*edits: tuple[str, str]) -> Study:
    return edited(TEXT, *edits)


def mistakes(*edits: tuple[str, str]) -> list[str]:
    with pytest.raises(BadInput) as error:
        study(*edits)
    return str(error.value).split("\n")
