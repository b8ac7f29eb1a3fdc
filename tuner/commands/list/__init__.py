"""`zerotune list`: the names that a study can use."""
