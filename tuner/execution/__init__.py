"""Run trials: one after another in this process, or on a Ray cluster."""
