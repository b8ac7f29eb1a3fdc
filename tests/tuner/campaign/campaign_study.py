"""The study that the campaign tests use."""

from tests.tuner.study.example_study import edited
from zerotune.tuner.study import Study

TEXT = """\
name: example
application: lenet_mnist
data: {source: mnist5k}
epochs: 12
batch_sizes: [128, 512]
seeds: [11, 12]
search_seed: 3
reference: tuned
baseline:
  batch_size: 32
  optimizer: {name: momentum, momentum: 0.8}
  warmup_epochs: 0.25
  tune:
    method: grid
    space:
      lr: {low: 0.01, high: 0.04, scale: log, num: 3}
arms:
  - name: tuned
    method: optuna
    trials: 6
    space:
      lr: {low: 0.005, high: 1, scale: log}
      decay: {choices: [constant, poly]}
  - name: linear-warmup
    method: linear-warmup
  - name: legw
    method: legw
  - name: date
    method: date
    baseline:
      tune:
        method: grid
        space:
          lr: {low: 0.002, high: 0.008, scale: log, num: 3}
"""
NUM_SEARCH_TRIALS = 3 + 3 + 2 * 6
NUM_CONFIRMATIONS = 2 + 2 * 4 * 2


def study(*edits: tuple[str, str]) -> Study:
    return edited(TEXT, *edits)
