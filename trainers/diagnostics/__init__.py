"""Measurements of a running training: curvature, trust ratios, distance from the start and gradient noise."""

from .curvature import HessianMethod, lipschitz_constant
from .distance import LAWS, Fit, distance, fit
from .layers import LayerNorms, layer_norms
from .noise import GradientNoise, gradient_noise
from .observer import Observation, TrainingObserver
from .probe import Probe

__all__ = [
    "LAWS",
    "Fit",
    "GradientNoise",
    "HessianMethod",
    "LayerNorms",
    "Observation",
    "Probe",
    "TrainingObserver",
    "distance",
    "fit",
    "gradient_noise",
    "layer_norms",
    "lipschitz_constant",
]
