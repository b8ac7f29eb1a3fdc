"""Which configurations are trained, at what cost, and what the outcome shows."""

__version__ = "0.1.0"
