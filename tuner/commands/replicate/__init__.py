"""Replicates of a study that is looked up: what it says how often, and how often that is true."""
