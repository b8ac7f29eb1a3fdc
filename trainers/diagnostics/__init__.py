"""What a training looks like from inside, off the hot path: curvature, trust ratios, distance, gradient noise."""

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
