"""Data-parallel training: several workers train one model, each on its own device and its shard of every batch."""
