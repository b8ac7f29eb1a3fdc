"""GNMT v2 translates English to German (DATE, Section 4.1.3 and Table 3; MLPerf's rnn_translator).

The baseline is DATE's Table 3: B0 = 256, learning rate 2^-0.5 / 1,000, 200 warm-up iterations (printed there as 0.0145
epochs). The solver is MLPerf's, Adam. MLPerf also clips gradients at norm 5 and smooths labels by 0.1; a study sets
both in its recipe.

Shape suffixes: B batch, T target tokens, V tokens of the vocabulary.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ..data.sentence_pairs import PairSplit
from ..data.translation import MULTI30K, WMT16, WMT16_PAIRS
from ..data.vocabulary import BEGIN, END, PAD
from ..models.beam_search import BeamSearch, translate
from ..models.gnmt import GNMT
from ..options import Options
from ..spec import Baseline, OptimizerSpec, ScheduleSpec
from .application import Application, Split

BATCH_SIZE, WARMUP_ITERATIONS = 256, 200
"""The baseline's (DATE, Table 3)."""


def pair_loss(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """Return the mean over sentence pairs of -log p(target | source), a scalar in nats; padding is ignored.

    The loss of a pair is the sum over its tokens, as in MLPerf's reference. Compared with a mean over tokens, gradients
    and clipping norms are larger by about the number of tokens of a target. Adam is invariant to that factor; other
    solvers need a learning rate smaller by it.
    """
    return smoothed_pair_loss(logits_BTV, targets_BT, label_smoothing=0.0)


def smoothed_pair_loss(outputs: Tensor, targets: Tensor, *, label_smoothing: float) -> Tensor:
    """Return `pair_loss` with smoothed targets, a scalar in nats.

    Source: Szegedy et al., arXiv 1512.00567, Section 7.

    Args:
        outputs: logits (B, T, V).
        targets: tokens (B, T), padded.
        label_smoothing: probability mass spread evenly over all V tokens, in [0, 1).
    """
    token_sum = F.cross_entropy(
        outputs.flatten(0, 1),
        targets.flatten(),
        ignore_index=PAD,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    return token_sum / len(targets)


def bleu(model: nn.Module, split: Split) -> float:
    """Translate a split by beam search and return its BLEU, in [0, 100].

    Computed as in MLPerf: sacrebleu on detokenized text, case-insensitive, with its tokenizer "intl"
    (`--score-only -lc --tokenize intl`).

    Args:
        model: a `GNMT` in evaluation mode. The search runs in the dtype of its weights: float32 for a bfloat16 recipe.
        split: a `PairSplit` with references.

    Raises:
        TypeError: the model is no `GNMT` or the split no `PairSplit`.
        ValueError: the split has no references; training splits have none.
    """
    from sacrebleu.metrics.bleu import BLEU  # only here: an extra brings it

    if not isinstance(model, GNMT) or not isinstance(split, PairSplit):
        raise TypeError(f"BLEU needs a GNMT and a PairSplit, got {type(model).__name__} on {type(split).__name__}.")
    if len(split.references) != len(split):
        raise ValueError(f"BLEU needs a reference for each of the {len(split)} pairs, got {len(split.references)}.")
    search = BeamSearch(
        beam_size=model.beam_size, length_penalty=model.length_penalty, begin=BEGIN, end=END, forbidden=(PAD, BEGIN)
    )
    found, references = [], []
    for positions, (inputs, _) in zip(split.evaluation_keys(), split.batches(split.evaluation_keys()), strict=True):
        tokens = translate(model, inputs.source, inputs.source_lengths, search)
        found += [split.vocabulary.decode(translation) for translation in tokens]
        references += [split.references[position] for position in positions.tolist()]
    return float(BLEU(lowercase=True, tokenize="intl", force=True).corpus_score(found, [references]).score)


GNMT_WMT16 = Application(
    description="GNMT v2, 4 + 4 LSTM layers with attention, translates English to German",
    source="DATE 4.1.3, Table 3",
    build_model=GNMT,
    data_sources={"wmt16": WMT16, "multi30k": MULTI30K},
    loss=pair_loss,
    measure=bleu,
    metric="BLEU",
    higher_is_better=True,
    chance_score=0.0,
    target=21.8,
    epochs=2,
    baseline=Baseline(
        batch_size=BATCH_SIZE,
        schedule=ScheduleSpec(peak_lr=2**-0.5 / 1e3, warmup_epochs=WARMUP_ITERATIONS * BATCH_SIZE / WMT16_PAIRS),
        optimizer=OptimizerSpec(name="adam"),
    ),
    model_options=Options(
        defaults={"num_hidden": 1_024, "num_layers": 4, "dropout": 0.2, "beam_size": 5, "length_penalty": 0.6},
        ranges={
            "num_hidden": (1, 16_384),
            "num_layers": (2, 32),
            "dropout": (0, 0.99),
            "beam_size": (1, 100),
            "length_penalty": (0, 10),
        },
    ),
    smoothed_loss=smoothed_pair_loss,
    packages={"sacrebleu": "translation", "tokenizers": "translation"},
)
