"""Text in PTB's layout: words and windows match the tutorial's reader, and bad files give one-sentence errors."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.trainers.data.files import data_set, file_server
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.applications.ptb import nats_per_word, perplexity, window_loss
from zerotune.trainers.data import DataError, ptb
from zerotune.trainers.data.ptb import (
    ANY_TEXT,
    FILES,
    PTB,
    WIKITEXT2_RESPLIT,
    Corpus,
    read_words,
    text_sources,
    word_numbers,
)
from zerotune.trainers.data.windows import Windows, WindowSplit
from zerotune.trainers.loop import train
from zerotune.trainers.spec import OptimizerSpec, Placement, Recipe, ScheduleSpec, TrainConfig

TEXT = "the cat sat\nthe dog sat down\n"
"""The nine words `the cat sat <eos> the dog sat down <eos>`."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three small files in PTB's layout."""
    for name in FILES:
        (tmp_path / name).write_text(TEXT, encoding="utf-8")
    return tmp_path


def number_split(num_windows: int, num_steps: int = 3) -> WindowSplit:
    """Return the text 0, 1, 2 ...: each word is its own position."""
    return WindowSplit(text=torch.arange(num_windows * num_steps + 1), num_steps=num_steps)


def seen(split: WindowSplit, keys: Tensor) -> tuple[Windows, Tensor]:
    return next(split.batches([keys]))


def test_each_line_ends_with_eos(folder: Path):
    assert read_words(folder / FILES[0]) == ["the", "cat", "sat", "<eos>", "the", "dog", "sat", "down", "<eos>"]


def test_words_are_numbered_by_count_and_then_by_the_word():
    numbers = word_numbers([*"bbaac", *["<eos>"] * 3, *["<unk>"] * 4], vocabulary=10)
    assert list(numbers) == ["<unk>", "<eos>", "a", "b", "c"]
    assert list(numbers.values()) == [0, 1, 2, 3, 4]


def test_the_rarest_words_become_unknown(folder: Path):
    data = ANY_TEXT.load(str(folder), num_steps=8, vocabulary=4)
    assert data.info == {"vocabulary_size": 4}
    # <eos>, sat and the occur twice. The unknown cat, dog and down map to <unk>, which comes last: the text never has
    # it.
    assert data.train.text.tolist() == [2, 3, 1, 0, 2, 3, 1, 3, 0]


def test_a_word_that_only_the_validation_text_has_is_unknown(folder: Path):
    (folder / FILES[1]).write_text("the axolotl sat\n", encoding="utf-8")
    data = ANY_TEXT.load(str(folder), num_steps=2, vocabulary=100)
    numbers = word_numbers(read_words(folder / FILES[0]), 100)
    assert data.validation.text.tolist() == [numbers[word] for word in ("the", "<unk>", "sat", "<eos>")]


def test_targets_are_the_words_that_come_next():
    split = number_split(num_windows=4)
    inputs, targets = seen(split, torch.tensor([[2, 0], [0, 1]]))
    assert inputs.tokens.tolist() == [[6, 7, 8], [0, 1, 2]]
    assert targets.tolist() == [[7, 8, 9], [1, 2, 3]]
    assert inputs.streams.tolist() == [0, 1]


@pytest.mark.parametrize(("num_windows", "batch_size", "epochs"), [(40, 8, 3), (41, 8, 3), (41, 41, 2), (7, 1, 2)])
def test_every_stream_reads_on_where_it_was_through_the_whole_training(num_windows: int, batch_size: int, epochs: int):
    split = number_split(num_windows)
    orders = [split.order(0, epoch, epochs=epochs, batch_size=batch_size)[2] for epoch in range(1, epochs + 1)]
    keys = torch.cat(orders)
    for stream in range(batch_size):
        windows = keys[keys[:, 1] == stream, 0]
        assert windows[0] == stream * num_windows // batch_size
        assert torch.equal(windows[1:], (windows[:-1] + 1) % num_windows)
    assert [batch[:, 1].tolist() for batch in keys.split(batch_size)][:-1] == [list(range(batch_size))] * (
        -(-len(keys) // batch_size) - 1
    )


@pytest.mark.parametrize(("num_windows", "batch_size"), [(40, 8), (41, 8), (977, 20), (977, 640)])
def test_no_window_is_preferred(num_windows: int, batch_size: int):
    """If B divides n, every epoch sees every window once; otherwise each window is seen once an epoch, plus or minus
    one.
    """
    split, epochs = number_split(num_windows), 4
    orders = [split.order(0, epoch, epochs=epochs, batch_size=batch_size)[2] for epoch in range(1, epochs + 1)]
    counts = torch.cat(orders)[:, 0].bincount(minlength=num_windows)
    assert counts.sum() == epochs * num_windows
    assert (counts - epochs).abs().max() <= (0 if num_windows % batch_size == 0 else 1)


@pytest.mark.parametrize("num_windows", [1, 19, 20, 57])
def test_evaluation_reads_the_text_once_in_streams(num_windows: int):
    batches = list(number_split(num_windows).evaluation_keys())
    keys = torch.cat(batches)
    assert keys[:, 0].sort().values.tolist() == list(range(num_windows))
    for stream in keys[:, 1].unique():
        windows = keys[keys[:, 1] == stream, 0]
        assert torch.equal(windows, torch.arange(int(windows[0]), int(windows[0]) + len(windows)))


def test_the_papers_window_counts_are_known_without_the_files():
    counts = {num_steps: text_sources(num_steps)["ptb"].num_train for num_steps in (20, 35)}
    assert counts == {20: 46_479, 35: 26_559}
    assert text_sources(20)["text"].num_train is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "found no word"),
        (b"\n \n", "found no word"),
        (b"the cat\nthe do", "its last line is not terminated"),
        (b"the caf\xe9\n", "cannot be read as UTF-8"),
        (b"the\n", "expected more than 4 words, enough for one window, found 2"),
    ],
)
@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_named(name: str, content: bytes | None, message: str, folder: Path):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    for read in (ANY_TEXT.check, ANY_TEXT.load):
        with pytest.raises(DataError, match=message) as error:
            read(str(folder), num_steps=4, vocabulary=10)
        assert str(folder / name) in str(error.value)


@pytest.mark.parametrize("corpus", [PTB, WIKITEXT2_RESPLIT])
def test_another_text_does_not_pass_for_a_published_one(corpus: Corpus, folder: Path):
    with pytest.raises(DataError, match=r"ptb\.train\.txt: .* words here, .* found 9: .* data source 'text'"):
        corpus.check(str(folder), num_steps=4, vocabulary=10)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=f"{tmp_path / 'nowhere'}: no such folder"):
        PTB.check(str(tmp_path / "nowhere"), num_steps=4, vocabulary=10)


def test_a_text_that_cannot_be_downloaded_needs_a_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ZEROTUNE_DATA", raising=False)
    assert not ANY_TEXT.needs_download(None)
    with pytest.raises(DataError, match="no data folder is set"):
        ANY_TEXT.check(None, num_steps=4, vocabulary=10)


def test_the_folder_of_data_sets_may_be_named_instead(folder: Path, monkeypatch: pytest.MonkeyPatch):
    inner = folder / "text"
    inner.mkdir()
    for name in FILES:
        (folder / name).rename(inner / name)
    monkeypatch.setenv("ZEROTUNE_DATA", str(folder))
    assert ANY_TEXT.check(None, num_steps=4, vocabulary=10) == 2


@pytest.fixture
def mirror(folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Corpus]:
    """Serve the small text for download from a server of this test."""
    with file_server(folder) as address:
        monkeypatch.setattr(ptb, "MIRROR", f"{address}/")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        monkeypatch.delenv("ZEROTUNE_DATA", raising=False)
        original = hashlib.sha256(TEXT.encode()).hexdigest()
        yield replace(PTB, num_words=(9, 9, 9), sha256=(original,) * 3)


def test_without_a_folder_the_files_are_downloaded_and_kept(mirror: Corpus, folder: Path):
    assert mirror.needs_download(None)
    assert mirror.check(None, num_steps=4, vocabulary=10) == 2
    for name in FILES:
        (folder / name).unlink()
    assert not mirror.needs_download(None)
    assert len(mirror.load(None, num_steps=4, vocabulary=10).train) == 2


def test_a_download_that_is_not_the_original_is_refused(mirror: Corpus, folder: Path):
    (folder / FILES[2]).write_text(TEXT.upper(), encoding="utf-8")
    with pytest.raises(DataError, match=r"ptb\.test\.txt: cannot be downloaded"):
        mirror.check(None, num_steps=4, vocabulary=10)
    assert mirror.needs_download(None)


def test_a_mirror_that_does_not_answer_says_how_to_go_on(mirror: Corpus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ptb, "MIRROR", "http://127.0.0.1:1/")
    with pytest.raises(DataError, match=r"ptb\.train\.txt: cannot be downloaded .*ZEROTUNE_DATA"):
        mirror.check(None, num_steps=4, vocabulary=10)


def test_the_real_text_has_the_counts_it_is_known_by(data_folder: Path):
    where = data_set(data_folder, "text-ptb-layout")
    data = WIKITEXT2_RESPLIT.load(str(where), num_steps=20, vocabulary=10_000)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [10_882, 6_014, 6_263]
    assert data.info == {"vocabulary_size": 10_000}
    assert data.train.text.max() == 9_999


def test_the_loss_is_summed_over_words_and_the_score_is_per_word():
    logits, targets = torch.zeros(4, 5, 7), torch.zeros(4, 5, dtype=torch.int64)
    assert window_loss(logits, targets).item() == pytest.approx(5 * math.log(7))
    assert perplexity(nats_per_word(logits, targets).item() / 4) == pytest.approx(7)


def test_a_model_that_does_worse_than_guessing_counts_as_one_that_guesses():
    guessing = APPLICATIONS["ptb_small"].chance_score
    assert [perplexity(nats) for nats in (9.3, 5_000.0, math.inf)] == [guessing] * 3
    assert perplexity(9.2) < guessing


def test_a_small_model_learns_real_text(data_folder: Path, tmp_path: Path):
    """Test perplexity on a part of WikiText-2 with 500 known words: 20.7 measured; word frequencies alone give 31.6."""
    where = data_set(data_folder, "text-ptb-layout")
    for name, num_lines in zip(FILES, (1_500, 300, 300), strict=True):
        lines = (where / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / name).write_text("".join(lines[:num_lines]), encoding="utf-8")
    config = TrainConfig(
        application="ptb_small",
        data="text",
        data_options={"vocabulary": 500},
        model_options={"num_hidden": 32},
        batch_size=20,
        epochs=2,
        schedule=ScheduleSpec(peak_lr=0.2),
        optimizer=OptimizerSpec(name="momentum"),
        seed=1,
        recipe=Recipe(clip_norm=5.0),
    )
    result = train(config, Placement(data_folder=str(tmp_path)))
    assert result.test_score is not None
    assert result.test_score < 26


@pytest.mark.parametrize("name", ["ptb_small", "ptb_large"])
def test_an_application_states_the_papers_numbers(name: str):
    application = APPLICATIONS[name]
    stated = (application.target, application.epochs, application.baseline and application.baseline.batch_size)
    assert stated == {"ptb_small": (116, 13, 20), "ptb_large": (78, 55, 20)}[name]
