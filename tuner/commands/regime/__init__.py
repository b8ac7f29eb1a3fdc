"""`zerotune regime`: find from which batch size on a batch is large, huge or full."""
