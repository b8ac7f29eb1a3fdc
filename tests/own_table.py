"""The layout of a table of one's own, `sweep.csv`, for tests that write its trainings."""

LAYOUT = """
name: our_sweep
file: sweep.csv
metric: accuracy
higher_is_better: true
chance_score: 0.1
columns: {lr: rate, batch_size: bs, seed: seed, score: acc, seconds: time}
fixed: {optimizer: momentum, epochs: 10, momentum: 0.9}
"""
