"""Packed training: several small trainings at once on one device, as one stacked model."""
