"""Parallel text: tokens and back, padding, length-sorted batches that miss no pair, errors for bad files."""

from pathlib import Path

import pytest
import torch

from zerotune.trainers.data import DataError, DataSource
from zerotune.trainers.data.moses import detokenize
from zerotune.trainers.data.sentence_pairs import PairSplit, Sentences
from zerotune.trainers.data.translation import MULTI30K, MULTI30K_PAIRS, PARTS, WMT16
from zerotune.trainers.data.vocabulary import BEGIN, END, PAD, UNKNOWN, BytePairs, Words

ENGLISH = ["a dog", "two dogs play .", "a red , red house", "dogs"]
GERMAN = ["ein Hund", "zwei Hunde spie@@ len .", "ein rotes , rotes Haus", "Hunde"]


def write(path: Path, lines: list[str]) -> None:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Create a folder with four pairs in each part."""
    for part in PARTS:
        write(tmp_path / f"{part}.en", ENGLISH)
        write(tmp_path / f"{part}.de", GERMAN)
    return tmp_path


def complaint(folder: Path, source: DataSource = WMT16, **options: object) -> str:
    """Return the error that both `check` and `load` raise for the files."""
    given = source.options.complete("data", options)  # type: ignore[arg-type]
    with pytest.raises(DataError) as checked:
        source.count(str(folder), given)
    with pytest.raises(DataError) as loaded:
        source.load(str(folder), **given)
    assert str(checked.value) == str(loaded.value)
    return str(checked.value)


def numbered_pairs(source_lengths: list[int], target_lengths: list[int]) -> PairSplit:
    """Return sentences of the given lengths in words; every word of pair i is the token 10 + i."""
    source, target = (
        Sentences.from_lists([10 + number] * length for number, length in enumerate(lengths))
        for lengths in (source_lengths, target_lengths)
    )
    return PairSplit(source=source, target=target, vocabulary=Words([]))


def test_words_are_numbered_by_count_then_by_their_characters():
    words = Words.learn(["b b a c", "a d"], size=7)
    assert len(words) == 7
    assert list(words.encode(["a b c d"])) == [[4, 5, 6, UNKNOWN]]


def test_preprocessed_text_is_written_as_people_write_it():
    words = Words.learn(GERMAN, size=100)
    (tokens,) = words.encode([GERMAN[1]])
    assert words.decode([BEGIN, *tokens, END, PAD, 99]) == "zwei Hunde spielen."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hallo , Welt !", "Hallo, Welt!"),
        ("er sagte : &quot; ja &quot; .", 'er sagte: "ja".'),
        ("&quot; ja &quot; und &quot; nein &quot;", '"ja" und "nein"'),
        ("it &apos;s ( really ) so", "it's (really) so"),
        ("„ ja “ , die Hunde , &apos; nein &apos; .", "„ja“, die Hunde, 'nein'."),
        ("the dogs &apos; ball costs $ 5", "the dogs' ball costs $5"),
        ("5 % &amp; 3 &#91; x &#93;", "5% & 3 [x]"),
        ("Europa - Parlament", "Europa - Parlament"),
        ("", ""),
    ],
)
def test_spaces_of_the_tokenizer_are_taken_out(text: str, expected: str):
    assert detokenize(text) == expected


def test_byte_pairs_give_any_text_back():
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    pairs = BytePairs.learn(["ein Hund, zwei Hunde"] * 3, size=270)
    texts = ["zwei Hunde", "Ärger: 你好 <s> </s>", "it's 5%!"]
    assert [pairs.decode([BEGIN, *tokens, END]) for tokens in pairs.encode(texts)] == texts


def test_byte_pairs_are_learned_alike_each_time():
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    text = [*ENGLISH, *GERMAN] * 5
    first, second = (list(BytePairs.learn(text, size=300).encode(text)) for _ in range(2))
    assert first == second


def test_a_vocabulary_is_shared_and_counted_up_to_a_multiple_of_eight(folder: Path):
    data = WMT16.load(str(folder), subwords="words", vocabulary=100, max_length=50)
    different = {word for sentence in ENGLISH + GERMAN for word in sentence.split()}
    assert (len(different), data.info) == (17, {"num_tokens": 24})
    (comma,) = next(data.train.vocabulary.encode([","]))
    assert [int((side.tokens == comma).sum()) for side in (data.train.source, data.train.target)] == [1, 1]


def test_a_batch_is_padded_and_predicts_each_next_word(folder: Path):
    split = numbered_pairs([1, 3], [2, 1])
    inputs, targets = next(split.batches([torch.tensor([1, 0])]))
    assert inputs.source.tolist() == [[BEGIN, 11, 11, 11, END], [BEGIN, 10, END, PAD, PAD]]
    assert inputs.source_lengths.tolist() == [5, 3]
    assert inputs.target.tolist() == [[BEGIN, 11, END], [BEGIN, 10, 10]]
    assert targets.tolist() == [[11, END, PAD], [10, 10, END]]


def test_an_epoch_takes_every_pair_once_where_batches_divide_it():
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 40, (1_000,), generator=generator).tolist()
    split = numbered_pairs(lengths, lengths[::-1])
    for epoch in (1, 2):
        first, last, positions = split.order(3, epoch, epochs=2, batch_size=8)
        assert (first, last) == (125 * (epoch - 1) + 1, 125 * epoch)
        assert positions.sort().values.tolist() == list(range(1_000))


def test_the_last_update_takes_what_is_left():
    split = numbered_pairs(list(range(1, 11)), list(range(1, 11)))
    orders = [split.order(3, epoch, epochs=2, batch_size=3)[2] for epoch in (1, 2)]
    assert [len(order) for order in orders] == [12, 8]
    assert torch.cat(orders).bincount().tolist() == [2] * 10


def test_the_order_is_the_seeds_own():
    split = numbered_pairs([5] * 64, [5] * 64)
    first, again, other = (split.order(seed, 1, epochs=1, batch_size=8)[2].tolist() for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_batches_hold_pairs_of_like_length_and_come_in_no_order_of_length():
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 50, (4_096,), generator=generator)
    split = numbered_pairs(lengths.tolist(), lengths.tolist())
    _, _, positions = split.order(3, 1, epochs=1, batch_size=32)
    longest = lengths[positions].view(-1, 32).max(dim=1).values
    padded_share = longest.sum() * 32 / lengths.sum()
    assert padded_share < 1.05  # 1.93 without sorting
    neighbours = torch.corrcoef(torch.stack([longest[:-1], longest[1:]]).double())[0, 1]
    assert abs(neighbours) < 0.3


def test_evaluation_takes_like_lengths_together_and_every_pair_once():
    lengths = torch.randint(1, 50, (300,), generator=torch.Generator().manual_seed(1))
    keys = numbered_pairs(lengths.tolist(), lengths.tolist()).evaluation_keys()
    assert torch.cat(keys).sort().values.tolist() == list(range(300))
    assert lengths[torch.cat(keys)].diff().min() >= 0


def test_operations_are_counted_on_pairs_of_mean_length():
    lengths = [1, 2, 9, 10, 11, 28]
    _, targets = numbered_pairs(lengths, lengths).example_batch()
    assert targets[:, 0].tolist() == [13, 14]


def test_long_and_empty_training_pairs_are_left_out_and_evaluation_is_whole(folder: Path):
    write(folder / "train.en", ["a b c", "a b c d", "", "x y"])
    write(folder / "train.de", ["d", "d", "e", "u v"])
    options = {"subwords": "words", "vocabulary": 100, "max_length": 5}
    data = WMT16.load(str(folder), **options)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [2, 4, 4]
    assert WMT16.count(str(folder), options) == 2  # type: ignore[arg-type]


def test_translations_are_compared_with_plain_text(folder: Path):
    write(folder / "test.raw.de", ["Ein Hund.", "b", "c", "d"])
    data = WMT16.load(str(folder), subwords="words", vocabulary=8, max_length=50)
    assert data.validation.references == ("ein Hund", "zwei Hunde spielen.", "ein rotes, rotes Haus", "Hunde")
    assert data.test.references == ("Ein Hund.", "b", "c", "d")
    assert data.train.references == ()


def test_a_missing_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert complaint(tmp_path / "none").startswith(f"{tmp_path / 'none'}: no such folder: it should hold train.en, ")
    monkeypatch.delenv("ZEROTUNE_DATA", raising=False)
    with pytest.raises(DataError, match=r"^wmt16: no data folder is set: name one with train\.en, "):
        WMT16.count(None, WMT16.options.complete("data", {}))


def test_a_folder_of_data_sets_will_do(folder: Path, tmp_path: Path):
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "wmt16").symlink_to(folder)
    assert WMT16.count(str(outer), WMT16.options.complete("data", {})) == 4


@pytest.mark.parametrize("name", ["train.en", "valid.de", "test.en"])
def test_a_missing_file_is_reported(folder: Path, name: str):
    (folder / name).unlink()
    assert complaint(folder) == f"{folder / name}: no such file: it should hold one sentence per line."


@pytest.mark.parametrize("name", ["train.de", "valid.en"])
def test_an_empty_file_is_reported(folder: Path, name: str):
    (folder / name).write_bytes(b"")
    assert complaint(folder) == f"{folder / name}: it is empty: it should hold one sentence per line."


def test_a_file_that_is_cut_short_in_a_line_is_reported(folder: Path):
    (folder / "train.de").write_bytes("".join(f"{line}\n" for line in GERMAN).encode()[:-2])
    assert complaint(folder) == (
        f"{folder / 'train.de'}: line 4, the last, is not terminated: the file is truncated; download it again."
    )


def test_languages_of_different_length_are_reported(folder: Path):
    write(folder / "valid.de", GERMAN[:3])
    assert complaint(folder) == (
        f"{folder}: both languages should have equally many lines, but valid.en has 4 and valid.de has 3: "
        "download them again."
    )


def test_text_that_is_not_utf_8_is_reported(folder: Path):
    (folder / "test.de").write_bytes("Haus\nTür\nTor\nDach\n".encode("latin-1"))
    assert complaint(folder).startswith(f"{folder / 'test.de'}: line 2 is not UTF-8 (")


def test_raw_references_of_another_number_are_reported(folder: Path):
    write(folder / "test.raw.de", ["ein Hund"])
    assert complaint(folder) == f"{folder / 'test.raw.de'}: it should have the 4 lines of test.de, found 1."


def test_a_limit_that_leaves_no_pair_is_reported(folder: Path):
    write(folder / "train.en", ["a dog", "two dogs play ."])
    write(folder / "train.de", ["ein Hund", "zwei Hunde spielen ."])
    assert complaint(folder, max_length=3) == (
        f"{folder}: no training pair has 1 to 1 words in both languages (the longest has 4): "
        "raise the option 'max_length'."
    )


def test_an_unknown_kind_of_subwords_is_reported(folder: Path):
    assert complaint(folder, subwords="bep") == "option 'subwords' must be 'bpe' or 'words', got 'bep'."


def test_too_small_a_vocabulary_for_bytes_is_reported(folder: Path):
    assert complaint(folder, MULTI30K, vocabulary=200) == (
        "option 'vocabulary' must be at least 260 for 'bpe', 4 special tokens and 256 bytes, got 200."
    )


def test_multi30k_has_its_published_size(data_folder: Path):
    assert MULTI30K.count(str(data_folder), MULTI30K.options.complete("data", {})) == MULTI30K_PAIRS == 29_000
