"""Measurement of a training at chosen updates, without influence on the training.

Forward passes run on a copy of the model, on samples drawn before the training, with separate random numbers. All other
measurements only read weights and gradients.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch

from ..data import Batch
from ..loop import Training
from ..recipe import training_loss
from ..sampling import random_stream
from .curvature import HessianMethod, lipschitz_constant
from .distance import distance
from .layers import LayerNorms, layer_norms
from .noise import GradientNoise, probe_noise
from .probe import Probe

NUM_SAMPLES = 512
"""Maximum number of samples of the probe, the big batch of the noise scale."""
PIECE_SIZE = 32
"""Samples per piece, the small batch of the noise scale."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Measurements of a training before an update.

    Attributes:
        iteration: the next update, 1-based.
        lr: its learning rate.
        lipschitz: g'Hg / |g|^2 on the probe's samples; NaN if the loss is NaN.
        noise: gradient noise on the same samples.
        distance: |w - w_0| over all trainable weights.
        layers: norms of every layer, with the gradient of the update.
    """

    iteration: int
    lr: float
    lipschitz: float
    noise: GradientNoise
    distance: float
    layers: tuple[LayerNorms, ...]


class TrainingObserver:
    """Measures a training before chosen updates; set it as the training's observer.

    The loss is the training loss (label smoothing included) in the weights' dtype, without mixed precision. If the
    optimizer evaluates at other weights than it trains, the trained weights are measured.

    Args:
        training: the training, before its first update; distances are measured from its current weights.
        iterations: updates to measure before, 1-based.
        method: method of the Hessian-vector product.

    Raises:
        ValueError: there are fewer than 64 training samples.

    >>> from zerotune.trainers.spec import OptimizerSpec, Placement, ScheduleSpec, TrainConfig
    >>> training = Training(TrainConfig(
    ...     application="lenet_mnist", data="mnist5k", batch_size=1500, epochs=1, seed=0,
    ...     schedule=ScheduleSpec(peak_lr=0.02), optimizer=OptimizerSpec(name="momentum"),
    ... ), Placement())
    >>> training.updates.observer = observer = TrainingObserver(training, iterations={2})
    >>> metrics = training.run_epoch()
    >>> [(seen.iteration, len(seen.layers)) for seen in observer.observations]
    [(2, 10)]
    """

    def __init__(self, training: Training, iterations: Collection[int], *, method: HessianMethod = "difference"):
        self.observations: list[Observation] = []
        self._training, self._iterations, self._method = training, frozenset(iterations), method
        loss = training_loss(training.config.recipe, training.application)
        self._probe = Probe(training.model, loss, probe_pieces(training))
        self._start = [weight.clone() for weight in self._probe.weights]

    def __call__(self, iteration: int) -> None:
        """Measure if the update was chosen; called after the gradient is computed and before the optimizer steps."""
        if iteration not in self._iterations:
            return
        training, probe = self._training, self._probe
        probe.load_weights(training.model)
        gradient, noise = probe_noise(probe)
        self.observations.append(
            Observation(
                iteration=iteration,
                lr=training.schedule.lr(iteration),
                lipschitz=lipschitz_constant(probe, gradient, method=self._method),
                noise=noise,
                distance=distance(probe.weights, self._start),
                layers=tuple(layer_norms(training.model, training.optimizer)),
            )
        )


def probe_pieces(training: Training) -> list[Batch]:
    """Return fixed training samples in equal pieces, augmented once; they depend on the seed, not on the batch size.

    Raises:
        ValueError: there are too few samples for two pieces.
    """
    split = training.data.train
    num_samples = min(NUM_SAMPLES, len(split)) // PIECE_SIZE * PIECE_SIZE
    if num_samples < 2 * PIECE_SIZE:
        raise ValueError(f"diagnostics need at least {2 * PIECE_SIZE} training samples, got {len(split)}.")
    _, _, keys = split.order(training.config.seed, 1, epochs=1, batch_size=num_samples)
    with random_stream(training.config.seed, "probe", training.device):
        return list(split.batches(torch.split(keys[:num_samples], PIECE_SIZE)))
