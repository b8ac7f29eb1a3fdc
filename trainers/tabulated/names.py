"""Names of the shipped applications that are tables; nothing slow to import."""

TABLE_PREFIXES = ("hpobench_", "hpolib_")
"""The first letters of their names."""
