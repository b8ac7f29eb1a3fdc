"""Learning-rate warm-ups, as fractions of the way from start to peak, by name."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WarmupEntry:
    """The shape of a warm-up.

    lr / peak = start + (1 - start) shape(e / w)

    Attributes:
        shape: completed fraction of the warm-up, e/w in [0, 1] -> fraction of the way from start to peak, in [0, 1].
        description: one line.
        source: paper and section.
    """

    shape: Callable[[float], float]
    description: str
    source: str


WARMUPS: dict[str, WarmupEntry] = {
    "none": WarmupEntry(
        shape=lambda part: 1.0,
        description="starts at the peak; the same as any warm-up of 0 epochs",
        source="LIMIT, arXiv 2006.08517, Fig. 23",
    ),
    "linear": WarmupEntry(
        shape=lambda part: part,
        description="rises in equal steps",
        source=(
            "DATE, Algorithm 1, line 6. Differs from Goyal et al., arXiv 1706.02677, Section 2.2, who start at the"
            " baseline's learning rate: a baseline with `warmup_start: 1` gives that"
        ),
    ),
    "quadratic": WarmupEntry(
        shape=lambda part: part * part,
        description="rises with the square of the epoch",
        source="DATE, Algorithm 1, line 6, as the other choice",
    ),
    "cosine": WarmupEntry(
        shape=lambda part: (1.0 - math.cos(math.pi * part)) / 2.0,
        description="rises along half a cosine, slowly at both ends",
        source="LIMIT, arXiv 2006.08517, Fig. 29",
    ),
    "constant": WarmupEntry(
        shape=lambda part: 0.0,
        description="stays at `warmup_start`, then jumps to the peak",
        source=(
            "Goyal et al., arXiv 1706.02677, Section 2.2, with the baseline's learning rate: a baseline with"
            " `warmup_start: 1` gives that"
        ),
    ),
}
"""The warm-ups by name; the single source for the study schema, the contract tests and `zerotune list`."""
