"""Data sets that fit in memory: read, checked, split. Nothing is read or downloaded at import time."""

from trainers.data.dataset import DataError, Dataset, DataSource, Split, load_on_device

__all__ = ["DataError", "DataSource", "Dataset", "Split", "load_on_device"]
