"""Slow float64 references of the optimizers: NumPy, one layer at a time, from the papers' formulas alone.

Each object is one layer's solver with its state. `step(weight, gradient, lr)` returns the new weight; arrays may have
any shape. Sources: LARS (arXiv 1708.03888) Algorithm 1 and Equation 6; LAMB (arXiv 1904.00962) Algorithm 2; DATE
Algorithm 1, lines 10 to 17; LIMIT (arXiv 2006.08517) Table 3; AdaBound (arXiv 1902.09843) for moving limits.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class LayerSolver(Protocol):
    """One layer's solver with its state."""

    def step(self, weight: Array, gradient: Array, lr: float) -> Array: ...


class ReferenceSolver(Protocol):
    """One layer's solver without layer-wise adaptation: w <- w - lr u."""

    def direction(self, weight: Array, gradient: Array) -> Array: ...


def norm(values: Array) -> float:
    """Return the Euclidean norm."""
    flat = values.ravel()
    return math.sqrt(float(flat @ flat))


def clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@dataclass
class Lars:
    """LARS with the learning rate inside the momentum buffer (as in the paper) or outside (`lr_in_buffer=False`)."""

    momentum: float = 0.9
    weight_decay: float = 0.0
    trust_coefficient: float = 0.001
    nesterov: bool = False
    lr_in_buffer: bool = True
    larc_clip: bool = False
    layerwise: bool = True
    velocity: Array | float = 0.0

    def step(self, weight: Array, gradient: Array, lr: float) -> Array:
        step = self.local(weight, gradient, lr) * (gradient + self.weight_decay * weight)
        if self.lr_in_buffer:
            step = lr * step
        self.velocity = self.momentum * self.velocity + step
        move = step + self.momentum * self.velocity if self.nesterov else self.velocity
        return weight - (move if self.lr_in_buffer else lr * move)

    def local(self, weight: Array, gradient: Array, lr: float) -> float:
        if not self.layerwise:
            return 1.0
        local, weight_norm, gradient_norm = 1.0, norm(weight), norm(gradient)
        if weight_norm > 0 and gradient_norm > 0:
            local = self.trust_coefficient * weight_norm / (gradient_norm + self.weight_decay * weight_norm)
        return min(local / lr, 1.0) if self.larc_clip else local


@dataclass
class Moments:
    """Adam's moments m and v, and the direction m' / (sqrt(v') + eps)."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    bias_correction: bool = True
    first: Array | float = 0.0
    second: Array | float = 0.0
    steps: int = 0

    def adam(self, gradient: Array) -> Array:
        self.steps += 1
        self.first = self.beta1 * self.first + (1 - self.beta1) * gradient
        self.second = self.beta2 * self.second + (1 - self.beta2) * gradient**2
        first, second = self.first, self.second
        if self.bias_correction:
            first = first / (1 - self.beta1**self.steps)
            second = second / (1 - self.beta2**self.steps)
        return first / (np.sqrt(second) + self.eps)


@dataclass
class Lamb(Moments):
    """LAMB with phi(z) = min(max(z, low), high)."""

    eps: float = 1e-6
    decay_in_ratio: bool = True
    phi_low: float = 0.0
    phi_high: float = math.inf
    layerwise: bool = True

    def step(self, weight: Array, gradient: Array, lr: float) -> Array:
        adam, decay = self.adam(gradient), self.weight_decay * weight
        if self.decay_in_ratio:
            return weight - lr * self.ratio(weight, adam + decay) * (adam + decay)
        return weight - lr * (self.ratio(weight, adam) * adam + decay)

    def ratio(self, weight: Array, update: Array) -> float:
        if not self.layerwise or norm(weight) == 0 or norm(update) == 0:
            return 1.0
        return clip(norm(weight), self.phi_low, self.phi_high) / norm(update)


@dataclass
class Sgd:
    """u = g + wd w."""

    weight_decay: float = 0.0

    def direction(self, weight: Array, gradient: Array) -> Array:
        return gradient + self.weight_decay * weight


@dataclass
class Momentum:
    """v <- m v + g; u = v. With Nesterov u = g + m v. As in torch, the learning rate is outside the buffer."""

    momentum: float = 0.9
    weight_decay: float = 0.0
    nesterov: bool = False
    velocity: Array | float = 0.0

    def direction(self, weight: Array, gradient: Array) -> Array:
        decayed = gradient + self.weight_decay * weight
        self.velocity = self.momentum * self.velocity + decayed
        return decayed + self.momentum * self.velocity if self.nesterov else self.velocity


@dataclass
class Nesterov(Momentum):
    """Momentum with Nesterov's look-ahead."""

    nesterov: bool = True


@dataclass
class AdaGrad:
    """s <- s + g^2; u = g / (sqrt(s) + eps)."""

    eps: float = 1e-10
    weight_decay: float = 0.0
    total: Array | float = 0.0

    def direction(self, weight: Array, gradient: Array) -> Array:
        decayed = gradient + self.weight_decay * weight
        self.total = self.total + decayed**2
        return decayed / (np.sqrt(self.total) + self.eps)


@dataclass
class RmsProp:
    """s <- a s + (1 - a) g^2; u = g / (sqrt(s) + eps)."""

    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    average: Array | float = 0.0

    def direction(self, weight: Array, gradient: Array) -> Array:
        decayed = gradient + self.weight_decay * weight
        self.average = self.alpha * self.average + (1 - self.alpha) * decayed**2
        return decayed / (np.sqrt(self.average) + self.eps)


@dataclass
class Adam(Moments):
    """The weight decay is added to the gradient, or to the direction where it is decoupled."""

    decoupled: bool = False

    def direction(self, weight: Array, gradient: Array) -> Array:
        decay = self.weight_decay * weight
        return self.adam(gradient) + decay if self.decoupled else self.adam(gradient + decay)


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay, by default torch's."""

    weight_decay: float = 1e-2
    decoupled: bool = True


@dataclass
class Adadelta:
    """s <- rho s + (1 - rho) g^2; u = sqrt(d + eps) / sqrt(s + eps) g; d <- rho d + (1 - rho) u^2."""

    rho: float = 0.9
    eps: float = 1e-6
    weight_decay: float = 0.0
    squares: Array | float = 0.0
    moves: Array | float = 0.0

    def direction(self, weight: Array, gradient: Array) -> Array:
        decayed = gradient + self.weight_decay * weight
        self.squares = self.rho * self.squares + (1 - self.rho) * decayed**2
        update = np.sqrt(self.moves + self.eps) / np.sqrt(self.squares + self.eps) * decayed
        self.moves = self.rho * self.moves + (1 - self.rho) * update**2
        return update


BASE_SOLVERS: dict[str, type[ReferenceSolver]] = {
    "sgd": Sgd,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": AdaGrad,
    "rmsprop": RmsProp,
    "adam": Adam,
    "adamw": AdamW,
    "adadelta": Adadelta,
}


@dataclass
class LayerwiseReference:
    """w <- w - lr r u, where r is |w| / |g| or |w| / |u|, or 1 where a norm is 0, clipped to the bounds."""

    base: ReferenceSolver
    ratio: str = "gradient"
    bounds: str = "fixed"
    ratio_low: float = 0.0
    ratio_high: float = math.inf
    ratio_final: float = 1.0
    ratio_gamma: float = 1e-3
    layerwise: bool = True
    steps: int = 0

    def step(self, weight: Array, gradient: Array, lr: float) -> Array:
        self.steps += 1
        update = self.base.direction(weight, gradient)
        if not self.layerwise:
            return weight - lr * update
        weight_norm, measured = norm(weight), norm(gradient if self.ratio == "gradient" else update)
        ratio = weight_norm / measured if weight_norm > 0 and measured > 0 else 1.0
        return weight - lr * clip(ratio, *self.limits()) * update

    def limits(self) -> tuple[float, float]:
        if self.bounds == "none":
            return 0.0, math.inf
        if self.bounds == "fixed":
            return self.ratio_low, self.ratio_high
        moved = self.ratio_gamma * self.steps
        return self.ratio_final * (1 - 1 / (moved + 1)), self.ratio_final * (1 + 1 / moved)
