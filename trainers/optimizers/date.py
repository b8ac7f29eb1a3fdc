"""The DATE solver: a layer-wise ratio |w| / |g| kept within one default pair of bounds, over a base solver."""

from collections.abc import Mapping

from torch import Tensor
from torch.optim.optimizer import ParamsT

from ..tables import lookup
from .layerwise import RATIO_HIGH, RATIO_LOW, Layerwise

DATE_BASES = ("momentum", "sgd", "adagrad", "rmsprop")
"""The base solvers of DATE (Algorithm 1, line 17)."""


class DATE(Layerwise):
    """The solver of DATE (Dynamic Adaptive-Tuning Engine), Algorithm 1, lines 10 to 17, and Section 3.5.

    r = min(max(|w| / |g|, low), high), or min(max(1, low), high) where a norm is 0; the layer's learning rate is lr r;
    the base solver takes the step. Weight decay is no part of the ratio; given to the base solver, it is part of its
    gradient. With momentum the learning rate is outside the buffer (v = m v + g; w = w - lr r v), as in TensorFlow's
    and torch's momentum; LARS has it inside.

    Norms of float32 layers are float32: beyond elements of 1e19 a gradient's norm is infinity, and the layer takes the
    lowest ratio.

    Args:
        params: parameters, or groups of them; a group with `layerwise=False` is stepped by the base solver alone.
        lr: learning rate, >= 0.
        base: "momentum", "sgd", "adagrad" or "rmsprop".
        base_options: options of the base solver, such as `{"momentum": 0.9}`.
        ratio_low: smallest ratio, >= 0.
        ratio_high: largest ratio, >= ratio_low.
        maximize: ascend instead of descend.
        foreach: all layers at once (True) or one by one (False); None for what suits the device.
        capturable: never read a value back from the device, so that a CUDA graph can hold the step; `lr` may then be a
            tensor of no dimensions.

    Raises:
        UnknownName: there is no such base solver, or it has no such option.
        ValueError: lr or the bounds are out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor,
        *,
        base: str = "momentum",
        base_options: Mapping[str, float] | None = None,
        ratio_low: float = RATIO_LOW,
        ratio_high: float = RATIO_HIGH,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
    ) -> None:
        lookup("base solver of DATE", dict.fromkeys(DATE_BASES), base)
        super().__init__(
            params,
            lr,
            base=base,
            base_options=base_options,
            ratio_low=ratio_low,
            ratio_high=ratio_high,
            maximize=maximize,
            foreach=foreach,
            capturable=capturable,
        )
