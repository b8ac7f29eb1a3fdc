"""Keys by which a tuned baseline carries further: ties go to the smallest learning rate, and edges are extended.

This module must not know who searches.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from .parts import Definition

EXTENSIONS: Final = 3
"""Most trainings by which `extend` goes beyond the range of the learning rate."""

TIE_CANDIDATES: Final = 3
"""Most configurations that `tie_seeds` trains again: the best, and those with smaller learning rates."""

GUARDED: Final = "guarded"
"""What the name of an arm with a guard must say, so that every table, sentence and bill calls it so."""


class TieKeys(Definition):
    """Keys of a baseline's search.

    Attributes:
        ties: "smallest" takes the smallest learning rate of those that B0 cannot tell apart (`tuner.analysis.ties`),
            "best" the best validation score.
        tie_seeds: further seeds on which up to `TIE_CANDIDATES` configurations are trained again, so that the noise is
            that between seeds; 0 for the noise of drawing the validation set. The trainings are billed.
        extend: whether up to `EXTENSIONS` trainings follow the best learning rate beyond an end of its range.
    """

    ties: Literal["best", "smallest"] = "best"
    tie_seeds: Annotated[int, Field(ge=0, le=100)] = 0
    extend: bool = False
