"""Public collections of trainings that others made, read from the folder into which a user downloaded them.

* `algoperf`: AlgoPerf's leaderboards, tuned and zero-tuned submissions (mlcommons/submissions_algorithms, Apache-2.0);
* `batch_science`: Shallue et al. 2018, 168,160 trials over batch sizes (google-research/google-research, Apache-2.0);
* `pd1`: HyperBO's PD1, Nesterov momentum on many tasks (google-research/hyperbo, CC-BY 4.0).

A reader takes a folder and returns one `PastTraining` a row; `to_frame` makes a pandas table of them. This package must
not know how trainings are judged.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from .algoperf import read_algoperf
from .batch_science import read_batch_science
from .pd1 import read_pd1
from .training import PastTraining

COLLECTIONS: Mapping[str, Callable[[Path], list[PastTraining]]] = {
    "algoperf": read_algoperf,
    "batch_science": read_batch_science,
    "pd1": read_pd1,
}
"""The readers by the name of their collection."""
