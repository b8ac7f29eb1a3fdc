"""Which configurations are trained, at what cost, and what the outcome shows."""
