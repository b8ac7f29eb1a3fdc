"""Data sets: reading, checking and splitting. Importing this package reads and downloads nothing."""

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
