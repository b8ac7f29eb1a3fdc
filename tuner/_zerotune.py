"""zerotune: must a model tuned at a small batch be tuned again at a large one?"""

__version__ = "0.1.0"
