"""The DATE solver: a layer-wise ratio |w| / |g| within fixed bounds, over a base solver."""

from collections.abc import Mapping

from torch import Tensor
from torch.optim.optimizer import ParamsT

from ..tables import lookup
from .layerwise import RATIO_HIGH, RATIO_LOW, Layerwise

DATE_BASES = ("momentum", "sgd", "adagrad", "rmsprop")
"""The base solvers of DATE (Algorithm 1, line 17)."""


class DATE(Layerwise):
    """The solver of DATE (Dynamic Adaptive-Tuning Engine).

    In each layer (parameter tensor):

    r = min(max(q, low), high) with q = |w| / |g|, and q = 1 if either norm is 0
    w <- w - lr r u, with u the base solver's direction

    Weight decay is not part of the ratio; as an option of the base solver it is part of the base solver's gradient.
    With momentum the learning rate is outside the buffer (v <- m v + g; w <- w - lr r v), as in TensorFlow and torch;
    LARS has it inside.

    Norms of float32 layers are computed in float32. With gradient elements above 1e19 the norm overflows to infinity,
    and the layer takes the lowest ratio.

    Source: DATE, Algorithm 1, lines 10 to 17, and Section 3.5.

    Args:
        params: parameters or parameter groups; a group with `layerwise=False` uses r = 1.
        lr: learning rate, >= 0; may be left out if every group has its own.
        base: "momentum", "sgd", "adagrad" or "rmsprop".
        base_options: options of the base solver, such as `{"momentum": 0.9}`, in torch's ranges.
        ratio_low: smallest ratio, >= 0.
        ratio_high: largest ratio, >= ratio_low.
        maximize: maximise the objective instead of minimising it.
        foreach: step all layers at once (True) or one by one (False); None chooses by device.
        capturable: never read values back from the device, so that a CUDA graph can capture the step; `lr` may then be
            a 0-dimensional tensor.

    Raises:
        UnknownName: the base solver or one of its options is unknown.
        ValueError: lr, an option or the bounds are out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor | None = None,
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
