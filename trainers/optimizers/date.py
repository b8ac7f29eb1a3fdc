"""The DATE solver: a layer-wise ratio |w| / |g| kept within one default pair of bounds, over a base solver."""

from collections.abc import Mapping

from torch.optim.optimizer import ParamsT

from trainers.optimizers.layerwise import Layerwise

RATIO_LOW = 0.01
"""Default lower bound of the ratio, one for all applications; the paper gives no value."""
RATIO_HIGH = 10.0
"""Default upper bound of the ratio, one for all applications; the paper gives no value."""


class DATE(Layerwise):
    """The solver of DATE (Dynamic Adaptive-Tuning Engine), Algorithm 1, lines 10 to 17, and Section 3.5.

    r = min(max(|w| / |g|, low), high), or min(max(1, low), high) where a norm is 0; the layer's learning rate is lr r;
    the base solver takes the step. Weight decay is no part of the ratio; given to the base solver, it is part of its
    gradient. With momentum the learning rate is outside the buffer (v = m v + g; w = w - lr r v), as in TensorFlow's
    and torch's momentum; LARS has it inside.

    Args:
        params: parameters, or groups of them; a group with `layerwise=False` is stepped by the base solver alone.
        lr: learning rate, >= 0.
        base: "momentum", "sgd", "adagrad" or "rmsprop".
        base_options: options of the base solver, such as `{"momentum": 0.9}`.
        ratio_low: smallest ratio, >= 0.
        ratio_high: largest ratio, >= ratio_low.
        maximize: ascend instead of descend.

    Raises:
        UnknownName: there is no such base solver, or it has no such option.
        ValueError: lr or the bounds are out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        *,
        base: str = "momentum",
        base_options: Mapping[str, float] | None = None,
        ratio_low: float = RATIO_LOW,
        ratio_high: float = RATIO_HIGH,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            base=base,
            base_options=base_options,
            ratio_low=ratio_low,
            ratio_high=ratio_high,
            maximize=maximize,
        )
