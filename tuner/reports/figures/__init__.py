"""Figures of a comparison. The registry names them all."""
