"""A study as an agenda: which trials it still needs, and what they will cost."""
