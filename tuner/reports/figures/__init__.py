"""Figures of a comparison. The registry lists them all."""
