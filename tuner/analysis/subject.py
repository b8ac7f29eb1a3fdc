"""What a report is about, in one value: every part of a report takes it, so that all of them say the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..trial import TrialResult
from .comparison import Comparison
from .provenance import Origin


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A study as it is reported: the comparison, the results that it was made of, and where these come from.

    The results have their epochs where learning curves are wanted. `cost` is the currency that savings are stated in
    and costs are drawn over, a name in `tuner.cost.CURRENCIES`.
    """

    comparison: Comparison
    results: Sequence[TrialResult]
    origin: Origin
    cost: str = "device_seconds"
