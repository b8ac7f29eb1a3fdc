"""Beam search against all possible translations, a slow search of one sentence, and greedy decoding."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from zerotune.trainers.models.beam_search import BeamSearch, translate
from zerotune.trainers.models.gnmt import GNMT

BEGIN, END, PAD = 2, 3, 0
SOURCES = torch.tensor([[2, 4, 3, 0], [2, 5, 4, 3], [2, 3, 0, 0]])
LENGTHS = torch.tensor([3, 4, 2])
SEARCH = BeamSearch(beam_size=3, length_penalty=0.6, begin=BEGIN, end=END, forbidden=(PAD, BEGIN))

seeds = pytest.mark.parametrize("seed", range(8))


def small_model(seed: int, num_tokens: int = 30) -> GNMT:
    """Return a model whose predictions vary by word and by source, and that ends sentences now and then."""
    torch.manual_seed(seed)
    model = GNMT(num_tokens=num_tokens, num_hidden=16, num_layers=2).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    nn.init.zeros_(model.decoder.classifier.bias)
    with torch.no_grad():
        model.decoder.classifier.bias[END] = num_tokens / 10
    return model


def scores(model: GNMT, row: int, words: Tensor, length_penalty: float) -> Tensor:
    """Return log p / ((5 + n) / 6)^a of translations (N, n - 1) that end after their words, in one pass over all of
    them.
    """
    marks = torch.full((len(words), 1), BEGIN), torch.full((len(words), 1), END)
    given, predicted = torch.cat([marks[0], words], dim=1), torch.cat([words, marks[1]], dim=1)
    logits = model((SOURCES[row].expand(len(words), -1), LENGTHS[row].expand(len(words)), given))
    log_p = logits.log_softmax(dim=-1).gather(2, predicted.unsqueeze(2)).sum(dim=(1, 2))
    return log_p / ((5 + words.shape[1] + 1) / 6) ** length_penalty


@torch.inference_mode()
def slow_search(model: GNMT, row: int, search: BeamSearch) -> list[int]:
    """Search for one sentence's translation with lists and a forward pass over all words at every step."""
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    limit = 2 * int(LENGTHS[row])

    def normalise(beam: tuple[float, list[int]], length: int | None = None) -> float:
        return beam[0] / ((5 + (length or len(beam[1]))) / 6) ** search.length_penalty

    for step in range(1, limit + 1):
        candidates = [beam for beam in beams if beam[1][-1:] == [END]]
        for log_p, words in (beam for beam in beams if beam[1][-1:] != [END]):
            logits = model((SOURCES[row : row + 1], LENGTHS[row : row + 1], torch.tensor([[BEGIN, *words]])))
            following = logits[0, -1].log_softmax(dim=-1).tolist()
            candidates += [
                (log_p + more, [*words, word]) for word, more in enumerate(following) if word not in search.forbidden
            ]
        beams = sorted(candidates, key=lambda beam: -beam[0])[: search.beam_size]
        ended = [beam for beam in beams if beam[1][-1] == END]
        unended = [beam for beam in beams if beam[1][-1] != END]
        bound = max((normalise(beam, limit) for beam in unended), default=-torch.inf)
        if ended and max(map(normalise, ended)) >= bound:
            break
        assert step <= limit
    best = max(ended or unended, key=normalise)[1]
    return best[:-1] if ended else best


@torch.inference_mode()
def best_of_all(model: GNMT, row: int, length_penalty: float) -> list[int]:
    """Return the best-scoring of all translations of vocabulary words that end in time."""
    best: tuple[float, list[int]] = (-torch.inf, [])
    for length in range(2 * int(LENGTHS[row])):
        all_words = torch.tensor(list(product((1, 4, 5), repeat=length)), dtype=torch.long).view(3**length, length)
        score, place = scores(model, row, all_words, length_penalty).max(dim=0)
        best = max(best, (score.item(), all_words[place].tolist()))
    return best[1]


@seeds
@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_the_best_of_all_translations(seed: int, length_penalty: float):
    model = small_model(seed, num_tokens=6)
    search = replace(SEARCH, beam_size=800, length_penalty=length_penalty)
    found = translate(model, SOURCES[::2], LENGTHS[::2], search)
    assert found == [best_of_all(model, row, length_penalty) for row in (0, 2)]


@seeds
def test_all_sentences_at_once_give_what_a_slow_search_of_each_gives(seed: int):
    model = small_model(seed)
    assert translate(model, SOURCES, LENGTHS, SEARCH) == [slow_search(model, row, SEARCH) for row in range(3)]


@seeds
def test_a_beam_of_one_takes_the_likeliest_word_each_time(seed: int):
    model = small_model(seed)
    found = translate(model, SOURCES, LENGTHS, replace(SEARCH, beam_size=1))
    for row, tokens in enumerate(found):
        expected: list[int] = []
        while len(expected) < 2 * int(LENGTHS[row]):
            logits = model((SOURCES[row : row + 1], LENGTHS[row : row + 1], torch.tensor([[BEGIN, *expected]])))[0, -1]
            logits[[PAD, BEGIN]] = -torch.inf
            word = int(logits.argmax())
            if word == END:
                break
            expected.append(word)
        assert tokens == expected


@seeds
def test_a_sentence_alone_is_translated_as_beside_others(seed: int):
    model = small_model(seed)
    alone = [
        translate(model, SOURCES[row : row + 1, : LENGTHS[row]], LENGTHS[row : row + 1], SEARCH)[0] for row in range(3)
    ]
    assert translate(model, SOURCES, LENGTHS, SEARCH) == alone


def test_a_model_that_never_ends_is_cut_at_twice_the_source():
    model = small_model(1)
    with torch.no_grad():
        model.decoder.classifier.bias[END] = -1e9
    assert [len(tokens) for tokens in translate(model, SOURCES, LENGTHS, SEARCH)] == [6, 8, 4]


def test_marks_are_never_words():
    model = small_model(2, num_tokens=6)
    with torch.no_grad():
        model.decoder.classifier.bias[[PAD, BEGIN]] = 1e3
    words = {word for tokens in translate(model, SOURCES, LENGTHS, SEARCH) for word in tokens}
    assert words <= {1, 4, 5}


def test_scores_are_divided_by_the_penalty_of_the_length():
    """GNMT, Equation 14: ((5 + |Y|) / (5 + 1))^a."""
    lengths = torch.tensor([1, 7, 25])
    scores = BeamSearch(beam_size=1, length_penalty=0.5, begin=2, end=3, forbidden=()).normalise(
        torch.full((3,), -6.0), lengths
    )
    torch.testing.assert_close(scores, torch.tensor([-6.0, -6 / 2**0.5, -6 / 5**0.5]))
