"""Language models on the Penn Treebank: an LSTM reads the text in streams and predicts the next word.

PTB-small and PTB-large of DATE, Section 4.1.2 (LEGW, Section 5.1). They are the small and large configurations of
TensorFlow's tutorial ptb_word_lm.py after Zaremba et al. (arXiv 1409.2329).

A sample is a window of 20 or 35 words. Its loss is the sum over its words, in nats, as in the tutorial, so that
learning rates and clipping norms carry over. (With the mean over words, learning rates would be 20 or 35 times larger
and norms as many times smaller.) Perplexity is exp of the nats per word.

Clipping belongs to a study's recipe, not to the application. The tutorial uses `recipe: {clip_norm: 5}` for the small
model and 10 for the large one; the baselines' learning rates assume it.

Differs from the tutorial: every batch size sees the same windows (`trainers.sampling.stream_order`), and the validation
and test texts are read in 20 streams. The tutorial reads the test text in one.

The baselines' solvers and schedules are DATE's, which prints no lr0. The learning rates 0.2 and 16 are this project's
choice, made on WikiText-2's validation text with 64 units, 2,000 words, batch size 20, two epochs and one seed:

- momentum (one epoch constant, one at 0.4): 0.1, 0.2, 0.4, 0.8 gave validation perplexities 48.0, 45.8, 48.8, 192.5;
- LARS with poly 2: 4, 16, 64 gave 56.3, 41.8 and worse than guessing.

Neither was tuned on PTB.

Shape suffixes: B batch, T words of a window, V words of the vocabulary.
"""

import math
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from ..data.ptb import text_sources
from ..models.language_model import LanguageModel
from ..options import Options
from ..spec import Baseline, DecaySpec, OptimizerSpec, ScheduleSpec
from .application import Application

GUESSING = 10_000.0
"""Perplexity of random guessing among the Penn Treebank's 10,000 words."""


def window_loss(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """Return the cross-entropy summed over the words of a window, averaged over windows: a scalar in nats."""
    return _nats(logits_BTV, targets_BT) / len(targets_BT)


def nats_per_word(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """Return the cross-entropy per word, summed over the windows: a scalar in nats."""
    return _nats(logits_BTV, targets_BT) / targets_BT.shape[1]


def perplexity(nats: float) -> float:
    """Return exp(nats) for the mean nats per word, capped at random guessing.

    The cap keeps the score of a nearly diverged training usable in means and intervals.

    >>> round(perplexity(math.log(116)), 6), perplexity(5_000.0)
    (116.0, 10000.0)
    """
    return math.exp(nats) if nats < math.log(GUESSING) else GUESSING


def _nats(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    return F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), reduction="sum")


_language_model = partial(
    Application,
    build_model=LanguageModel,
    loss=window_loss,
    score_sum=nats_per_word,
    finish_score=perplexity,
    metric="perplexity",
    higher_is_better=False,
    chance_score=GUESSING,
)
RANGES = {"num_hidden": (1, 65_536), "num_layers": (1, 64), "dropout": (0.0, 0.99), "init_scale": (1e-6, 10.0)}
"""Allowed values of the model options."""

PTB_SMALL = _language_model(
    description="a 2-layer LSTM of 200 units predicts the Penn Treebank's next word",
    source="DATE 4.1.2; LEGW 5.1; Zaremba et al., arXiv 1409.2329",
    data_sources=text_sources(num_steps=20),
    model_options=Options(
        defaults={"num_hidden": 200, "num_layers": 2, "dropout": 0.0, "init_scale": 0.1}, ranges=RANGES
    ),
    target=116.0,
    epochs=13,
    baseline=Baseline(
        batch_size=20,
        schedule=ScheduleSpec(
            peak_lr=0.2, decay=DecaySpec(name="exponential", options={"start_epoch": 7.0, "factor": 0.4})
        ),
        optimizer=OptimizerSpec(name="momentum", options={"momentum": 0.9}),
    ),
)

PTB_LARGE = _language_model(
    description="a 2-layer LSTM of 1,500 units predicts the Penn Treebank's next word",
    source="DATE 4.1.2; Zaremba et al., arXiv 1409.2329",
    data_sources=text_sources(num_steps=35),
    model_options=Options(
        defaults={"num_hidden": 1500, "num_layers": 2, "dropout": 0.65, "init_scale": 0.04}, ranges=RANGES
    ),
    target=78.0,
    epochs=55,
    baseline=Baseline(
        batch_size=20,
        schedule=ScheduleSpec(peak_lr=16.0, decay=DecaySpec(name="poly", options={"power": 2.0})),
        optimizer=OptimizerSpec(name="lars"),
    ),
)
