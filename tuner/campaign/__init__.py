"""A study as work to do: which trials it still needs, and what they will cost."""
