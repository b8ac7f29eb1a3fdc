"""What a training looks like from inside, off the hot path: curvature, trust ratios, distance, gradient noise."""

from .curvature import HessianMethod, lipschitz_constant
from .distance import LAWS, Fit, distance, fit
from .layers import LayerNorms, layer_norms
from .noise import GradientNoise, gradient_noise
from .probe import Probe
from .recorder import Observation, Recorder

__all__ = [
    "LAWS",
    "Fit",
    "GradientNoise",
    "HessianMethod",
    "LayerNorms",
    "Observation",
    "Probe",
    "Recorder",
    "distance",
    "fit",
    "gradient_noise",
    "layer_norms",
    "lipschitz_constant",
]
