"""Data sets: read, checked, split. Nothing is read or downloaded at import time."""

from .adapters import as_split, divide
from .dataset import Batch, DataError, Dataset, DataSource, Split, TensorSplit, load_on_device

__all__ = [
    "Batch",
    "DataError",
    "DataSource",
    "Dataset",
    "Split",
    "TensorSplit",
    "as_split",
    "divide",
    "load_on_device",
]
