"""GNMT: its size, padding without effect, attention and loss against slow references, and learning to translate."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.trainers.data.files import first_pairs
from zerotune.trainers.applications import APPLICATIONS, gnmt
from zerotune.trainers.applications.gnmt import GNMT_WMT16, bleu, pair_loss, smoothed_pair_loss
from zerotune.trainers.data.sentence_pairs import PairSplit, Sentences
from zerotune.trainers.data.vocabulary import BEGIN, END, PAD, Words
from zerotune.trainers.loop import train
from zerotune.trainers.models.attention import NormalisedAttention
from zerotune.trainers.models.beam_search import BeamSearch, translate
from zerotune.trainers.models.gnmt import GNMT, Decoder, Encoder
from zerotune.trainers.schedules import build_schedule
from zerotune.trainers.spec import OptimizerSpec, Placement, Precision, Recipe, ScheduleSpec, TrainConfig

SOURCES = [[2, 5, 6, 7, 3], [2, 8, 3], [2, 9, 9, 3]]
TARGETS = [[2, 6, 3], [2, 5, 5, 7], [2, 4]]


def small_model(num_layers: int = 3) -> GNMT:
    torch.manual_seed(1)
    return GNMT(num_tokens=11, num_hidden=6, num_layers=num_layers).double().eval()


def pad(sentences: list[list[int]], filling: int = PAD) -> Tensor:
    longest = max(map(len, sentences))
    return torch.tensor([sentence + [filling] * (longest - len(sentence)) for sentence in sentences])


def lengths(sentences: list[list[int]]) -> Tensor:
    return torch.tensor([len(sentence) for sentence in sentences])


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_papers_model_has_its_published_number_of_parameters():
    """160,671,297 at 32,320 tokens: MLPerf, NVIDIA's gnmt, "MLPerf GNMT has 160671297 parameters"."""
    with torch.device("meta"):
        assert num_parameters(GNMT_WMT16.new_model({}, {})) == 160_671_297


@pytest.mark.parametrize(("num_tokens", "num_hidden", "num_layers"), [(7, 3, 2), (50, 8, 4), (20, 6, 5)])
def test_the_number_of_parameters_is_its_closed_form(num_tokens: int, num_hidden: int, num_layers: int):
    V, H, L = num_tokens, num_hidden, num_layers
    expected = (20 * L + 10) * H**2 + (16 * L + 10) * H + 1 + (2 * H + 1) * V
    assert num_parameters(GNMT(num_tokens=V, num_hidden=H, num_layers=L)) == expected


def test_initial_weights_are_those_of_gnmt():
    model = GNMT(num_tokens=100, num_hidden=16, num_layers=2)
    for name, parameter in model.named_parameters():
        if name.endswith(("bias_hh_l0", "query.bias")):
            assert parameter.abs().max() == 0, name
        elif name.endswith("gain"):
            assert parameter.item() == 0.25
        else:
            assert 0.08 < parameter.abs().max() <= 0.1, name


def test_a_sentence_alone_is_read_as_beside_longer_ones():
    model = small_model()
    together = model((pad(SOURCES, filling=10), lengths(SOURCES), pad(TARGETS, filling=9)))
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone = model((pad([source]), lengths([source]), pad([target])))
        torch.testing.assert_close(together[row, : len(target)], alone[0], rtol=0, atol=1e-14)


def test_a_word_is_predicted_from_those_before_it_alone():
    model = small_model()
    inputs = pad([SOURCES[0]]), lengths([SOURCES[0]])
    first, second = (model((*inputs, torch.tensor([[2, 5, word, 7]]))) for word in (6, 8))
    assert torch.equal(first[:, :2], second[:, :2])
    assert not torch.allclose(first[:, 2:], second[:, 2:])


@pytest.mark.parametrize("num_layers", [2, 4])
def test_word_by_word_gives_what_a_whole_target_gives(num_layers: int):
    model = small_model(num_layers)
    target_BT = pad([[2, 6, 3, 4], [2, 5, 5, 7], [2, 4, 9, 9]])
    whole_BTV = model((pad(SOURCES), lengths(SOURCES), target_BT))
    memory, states = model.encode(pad(SOURCES), lengths(SOURCES)), None
    for place in range(target_BT.shape[1]):
        hypotheses_BK = target_BT[:, place, None].expand(-1, 2)
        logits_BKV, states = model.step(hypotheses_BK, memory, states)
        for hypothesis in range(2):
            torch.testing.assert_close(logits_BKV[:, hypothesis], whole_BTV[:, place], rtol=0, atol=1e-14)


def test_the_first_layer_reads_both_directions_as_packed_sequences_are_read():
    """The oracle is torch's bidirectional LSTM over packed sequences."""
    torch.manual_seed(2)
    encoder, oracle = Encoder(5, 2, 0.0).double(), nn.LSTM(5, 5, bidirectional=True).double()
    for name, value in encoder.forwards.state_dict().items():
        oracle.state_dict()[name].copy_(value)
        oracle.state_dict()[f"{name}_reverse"].copy_(encoder.backwards.state_dict()[name])
    embedded_SBH, lengths_B = torch.randn(6, 3, 5, dtype=torch.float64), torch.tensor([4, 6, 1])
    seen: list[Tensor] = []
    encoder.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(embedded_SBH, lengths_B)
    packed = nn.utils.rnn.pack_padded_sequence(embedded_SBH, lengths_B, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(oracle(packed)[0])
    for row, length in enumerate(lengths_B.tolist()):
        torch.testing.assert_close(seen[0][:length, row], expected[:length, row], rtol=0, atol=1e-14)


def silence(layer: nn.Module) -> None:
    """Make an LSTM layer output zeros."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def test_residual_connections_of_the_encoder_begin_with_the_third_layer():
    """With a zeroed third layer nothing changes; with a zeroed second layer nothing passes."""
    three, two = (Encoder(6, num_layers, 0.0) for num_layers in (3, 2))
    two.load_state_dict(three.state_dict(), strict=False)
    inputs = torch.randn(5, 2, 6), torch.tensor([5, 3])
    assert not torch.allclose(three(*inputs), two(*inputs))
    silence(three.layers[1])
    assert torch.equal(three(*inputs), two(*inputs))
    silence(two.layers[0])
    assert two(*inputs).abs().max() == 0


def test_residual_connections_of_the_decoder_begin_with_the_third_layer():
    """As in the encoder. What passes makes up the logits, apart from the classifier's bias."""
    three, two = (Decoder(11, 6, num_layers, 0.0) for num_layers in (3, 2))
    two.load_state_dict(three.state_dict(), strict=False)
    inputs = torch.randn(4, 2, 6), two.attention.build_memory(torch.randn(2, 5, 6), torch.tensor([5, 3]))
    assert not torch.allclose(three(*inputs), two(*inputs))
    silence(three.layers[1])
    assert torch.equal(three(*inputs), two(*inputs))
    silence(two.layers[0])
    assert torch.equal(two(*inputs), two.classifier.bias.expand(2, 4, 11))


def test_attention_weighs_a_sentences_own_states_by_their_energies():
    torch.manual_seed(3)
    attention = NormalisedAttention(4).double()
    nn.init.normal_(attention.query.bias)
    states_BSH, queries_BQH = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 2, 4, dtype=torch.float64)
    contexts = attention(queries_BQH, attention.build_memory(states_BSH, torch.tensor([3, 2])))
    direction = attention.gain * attention.direction / attention.direction.norm()
    for row, length in enumerate((3, 2)):
        for place in range(2):
            asked = attention.query.weight @ queries_BQH[row, place] + attention.query.bias
            energies = [
                direction @ torch.tanh(asked + attention.key.weight @ states_BSH[row, s]) for s in range(length)
            ]
            weights = torch.stack(energies).softmax(dim=0)
            torch.testing.assert_close(contexts[row, place], weights @ states_BSH[row, :length], rtol=0, atol=1e-14)


def test_the_loss_is_the_mean_over_pairs_of_the_sum_over_their_words():
    logits = torch.randn(2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    targets = torch.tensor([[4, 2, END], [1, END, PAD]])
    log_p = logits.log_softmax(dim=-1)
    words = [(0, 0, 4), (0, 1, 2), (0, 2, END), (1, 0, 1), (1, 1, END)]
    assert pair_loss(logits, targets).item() == pytest.approx(-sum(log_p[word].item() for word in words) / 2)
    smoothed = [-0.9 * log_p[word].item() - 0.1 * log_p[word[:2]].mean().item() for word in words]
    actual = smoothed_pair_loss(logits, targets, label_smoothing=0.1).item()
    assert actual == pytest.approx(sum(smoothed) / 2)


def test_a_pair_costs_the_same_whatever_stands_beside_it():
    """Micro-batches therefore sum to the batch's gradient: no mean over a batch's tokens is taken."""
    model = small_model()
    targets = [[6, 3, END], [5, 5, 7, END], [4, END]]
    inputs = [[BEGIN, *target[:-1]] for target in targets]
    together = pair_loss(model((pad(SOURCES), lengths(SOURCES), pad(inputs))), pad(targets))
    alone = [
        pair_loss(model((pad([source]), lengths([source]), pad([given]))), pad([target])).item()
        for source, given, target in zip(SOURCES, inputs, targets, strict=True)
    ]
    assert together.item() == pytest.approx(sum(alone) / 3, rel=1e-14)


def test_bleu_compares_each_translation_with_its_own_reference(monkeypatch: pytest.MonkeyPatch):
    """A model that returns the references scores 100; letter case is ignored."""
    pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")
    words = Words.learn(["a b c d e f g h"], size=100)
    sentences = ["a b c d e f", "h g f e d", "c c d d"]
    tokens = list(words.encode(sentences))
    split = PairSplit(
        source=Sentences.from_lists([tokens[0], tokens[2], tokens[1]]),
        target=Sentences.from_lists(tokens),
        vocabulary=words,
        references=tuple(sentence.upper() for sentence in sentences),
    )
    by_source_length = {6: tokens[0], 4: tokens[1], 5: tokens[2]}
    monkeypatch.setattr(
        gnmt,
        "translate",
        lambda model, source_BS, lengths_B, search: [by_source_length[length - 2] for length in lengths_B.tolist()],
    )
    assert bleu(small_model(), split) == pytest.approx(100)
    assert bleu(small_model(), replace(split, references=tuple(reversed(split.references)))) < 60


def test_bleu_refuses_what_it_cannot_translate():
    pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")
    split = PairSplit(source=Sentences.from_lists([[5]]), target=Sentences.from_lists([[6]]), vocabulary=Words(["a"]))
    with pytest.raises(TypeError, match="BLEU needs a GNMT and a PairSplit, got Linear on PairSplit"):
        bleu(nn.Linear(1, 1), split)
    with pytest.raises(ValueError, match=r"BLEU needs a reference for each of the 1 pairs, got 0\."):
        bleu(small_model(), split)


def test_the_baseline_warms_up_for_200_iterations():
    """DATE, Table 3, prints 0.0145 epochs; 200 x 256 / 3,498,161 is 0.0146."""
    baseline = APPLICATIONS["gnmt_wmt16"].baseline
    assert baseline is not None
    assert baseline.schedule.warmup_epochs == pytest.approx(0.0145, abs=2e-4)
    schedule = build_schedule(baseline.schedule, num_samples=3_498_161, batch_size=256, epochs=2)
    assert schedule.lr(200) == pytest.approx(2**-0.5 / 1e3)
    assert schedule.lr(100) == pytest.approx(2**-0.5 / 2e3)


SMALL_TRAINING = TrainConfig(
    application="gnmt_wmt16",
    data="multi30k",
    data_options={"vocabulary": 1_000},
    model_options={"num_hidden": 64, "num_layers": 2, "dropout": 0.0, "beam_size": 2},
    batch_size=10,
    epochs=2,
    schedule=ScheduleSpec(peak_lr=0.004, warmup_epochs=0.2),
    optimizer=OptimizerSpec(name="adam"),
    seed=1,
    recipe=Recipe(clip_norm=5.0),
)


def some_sentences(number: int, draw: torch.Generator) -> list[list[int]]:
    """Draw sentences of one to three of five words."""
    return [
        torch.randint(4, 9, (length,), generator=draw).tolist()
        for length in torch.randint(1, 4, (number,), generator=draw)
    ]


def test_it_learns_to_translate():
    """A language whose sentences are reversed. Of 100 new sentences, seeds 1 to 4 got 70 to 99 entirely right."""
    torch.manual_seed(1)
    draw, model = torch.Generator().manual_seed(1), GNMT(num_tokens=9, num_hidden=64, num_layers=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(250):
        sentences = some_sentences(32, draw)
        sources = [[BEGIN, *words, END] for words in sentences]
        inputs = [[BEGIN, *reversed(words)] for words in sentences]
        targets = [[*reversed(words), END] for words in sentences]
        optimizer.zero_grad()
        pair_loss(model((pad(sources), lengths(sources), pad(inputs))), pad(targets)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    new = some_sentences(100, draw)
    sources = [[BEGIN, *words, END] for words in new]
    search = BeamSearch(beam_size=2, length_penalty=0.6, begin=BEGIN, end=END, forbidden=(PAD,))
    translations = translate(model.eval(), pad(sources), lengths(sources), search)
    assert sum(found == words[::-1] for found, words in zip(translations, new, strict=True)) > 60


def test_a_training_lowers_the_loss_epoch_by_epoch(data_folder: Path, tmp_path: Path):
    """Before training it is above 147 nats a pair: 21.6 words, each with probability 1 / 1,000."""
    result = train(SMALL_TRAINING, Placement(data_folder=str(first_pairs(data_folder, tmp_path, 500, 30))))
    first, second = (epoch.validation_loss for epoch in result.epochs)
    assert second < first < 147


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 1e-3), ("float64", 1e-5)])
def test_a_training_in_another_number_format_is_close(
    precision: Precision, tolerance: float, data_folder: Path, tmp_path: Path
):
    """With smoothed labels and micro-batches. The losses differed by 1e-5 and by 3e-8, relative to theirs."""
    small = replace(
        SMALL_TRAINING,
        epochs=1,
        data_options={"vocabulary": 300},
        model_options={**SMALL_TRAINING.model_options, "num_hidden": 8},
        recipe=Recipe(clip_norm=5.0, label_smoothing=0.1, micro_batch_size=4),
    )
    placement = Placement(data_folder=str(first_pairs(data_folder, tmp_path, 100, 10)))
    usual = train(small, placement)
    other = train(replace(small, recipe=replace(small.recipe, precision=precision)), placement)
    assert other.epochs[0].train_loss == pytest.approx(usual.epochs[0].train_loss, rel=tolerance)
    assert math.isfinite(other.validation_score)
