"""`zerotune regime`: find the batch sizes from which a batch is large, huge or full."""
