"""Parallel English-German text from a data folder: train, valid and test files with one sentence per line.

WMT16 as MLPerf's GNMT reference preprocesses it (tokenized and split into subwords; newstest2015 and 2016 for
validation, newstest2014 for test), or raw text such as Multi30K. Line i of one language's file is the translation of
line i of the other's.
"""

from collections.abc import Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path

from ..options import Options
from .data_folder import find_folder, resolve_data_folder
from .dataset import DataError, Dataset, DataSource
from .sentence_pairs import PairSplit, Sentences
from .vocabulary import SUBWORDS, Vocabulary

SOURCE, TARGET = "en", "de"
"""The direction of MLPerf and the papers: English to German."""
PARTS = ("train", "valid", "test")
WMT16_PAIRS = 3_498_161
"""Training pairs of at most 50 tokens per language, of 4,068,191 (MLPerf training results v0.5, NVIDIA's log
dgx1_ngc18.11_pytorch/gnmt/result_1.txt: "preproc_num_train_examples"). DATE's Table 2 says 3.5M."""
MULTI30K_PAIRS = 29_000
"""Training pairs of Multi30K (Elliott et al., arXiv 1605.00459, Table 1); none is longer than 50 words."""
MULTIPLE = 8
"""The vocabulary size is rounded up to a multiple of it, as in the reference, for faster matrix products."""

Pair = tuple[str, str]


def load(default_folder: str, data_folder: str | None, *, subwords: str, vocabulary: int, max_length: int) -> Dataset:
    """Load sentence pairs into memory, on the CPU.

    Training pairs with an empty side or more than `max_length` words are dropped; validation and test are complete. The
    vocabulary is learned from the remaining training pairs at every load: split a corpus of millions into subwords
    once, and load it with "words".

    Args:
        default_folder: name of the data set's subfolder in a data folder with several data sets.
        data_folder: holds `train.en`, `train.de`, `valid.en` ... `test.de`, directly or in the subfolder; None uses
            $ZEROTUNE_DATA. If it also holds `valid.raw.de` or `test.raw.de`, these are the references, as MLPerf uses
            the untokenized newstest2014. Otherwise the references are `valid.de` and `test.de`, for "words" with
            subwords joined and detokenized.
        subwords: "bpe" learns byte pairs from raw text; "words" uses the words of preprocessed text.
        vocabulary: maximum vocabulary size, shared by both languages.
        max_length: maximum words of a training sentence, counting begin and end as one each, as MLPerf does. Words are
            separated by white space; in preprocessed text they are subwords.

    Returns:
        The data set; `num_tokens` is in its info.

    Raises:
        DataError: a file is missing, empty, truncated or not UTF-8; the two languages differ in their number of lines;
            or no pair is short enough.
    """
    folder = _find_folder(default_folder, data_folder, subwords, vocabulary)
    train = list(_short_pairs(folder, max_length))
    english, german = zip(*train, strict=True)
    learned = SUBWORDS[subwords]([*english, *german], vocabulary)
    validation, test = (_evaluation_split(folder, part, learned) for part in ("valid", "test"))
    return Dataset(
        train=_split(train, learned),
        validation=validation,
        test=test,
        info={"num_tokens": -(-len(learned) // MULTIPLE) * MULTIPLE},
    )


def check(default_folder: str, data_folder: str | None, *, subwords: str, vocabulary: int, max_length: int) -> int:
    """Check every file by reading it once, without learning a vocabulary; arguments as in `load`.

    Returns:
        Number of training pairs.

    Raises:
        DataError: as in `load`.
    """
    folder = _find_folder(default_folder, data_folder, subwords, vocabulary)
    for part in ("valid", "test"):
        _reference_texts(folder, part, list(_pairs(folder, part)))
    return sum(1 for _ in _short_pairs(folder, max_length))


def _find_folder(default_folder: str, data_folder: str | None, subwords: str, vocabulary: int) -> Path:
    """Return the folder with the files; raise DataError if it is missing or an option is invalid."""
    if subwords not in SUBWORDS:
        raise DataError(f"option 'subwords' must be {' or '.join(map(repr, SUBWORDS))}, got {subwords!r}.")
    if subwords == "bpe" and vocabulary < 260:
        raise DataError(
            f"option 'vocabulary' must be at least 260 for 'bpe', 4 special tokens and 256 bytes, got {vocabulary}."
        )
    chosen = resolve_data_folder(data_folder)
    names = ", ".join(f"{part}.{language}" for part in PARTS for language in (SOURCE, TARGET))
    if not chosen:
        raise DataError(f"{default_folder}: no data folder is set: name one with {names} by --data or ZEROTUNE_DATA.")
    return find_folder(chosen, names, default_folder)


def _lines(path: Path) -> Iterator[str]:
    """Yield the sentences of a file, one per line; raise DataError at the first error."""
    if not path.is_file():
        raise DataError(f"{path}: no such file: it should hold one sentence per line.")
    line, number = b"", 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield line.decode().strip()
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: line {number} is not UTF-8 ({error.reason}): convert the file.") from None
    if number == 0:
        raise DataError(f"{path}: it is empty: it should hold one sentence per line.")
    if not line.endswith(b"\n"):
        raise DataError(
            f"{path}: line {number}, the last, is not terminated: the file is truncated; download it again."
        )


def _pairs(folder: Path, part: str) -> Iterator[Pair]:
    """Yield the line pairs of both languages; raise DataError if their numbers differ."""
    paths = [folder / f"{part}.{language}" for language in (SOURCE, TARGET)]
    for english, german in zip_longest(*map(_lines, paths)):
        if english is None or german is None:
            found = " and ".join(f"{path.name} has {sum(1 for _ in _lines(path)):,}" for path in paths)
            raise DataError(
                f"{folder}: both languages should have equally many lines, but {found}: download them again."
            )
        yield english, german


def _short_pairs(folder: Path, max_length: int) -> Iterator[Pair]:
    """Yield the training pairs that are neither empty nor too long; raise DataError if there is none."""
    longest, num_kept = 0, 0
    for english, german in _pairs(folder, "train"):
        lengths = len(english.split()), len(german.split())
        longest = max(longest, *lengths)
        if min(lengths) > 0 and max(lengths) + 2 <= max_length:
            num_kept += 1
            yield english, german
    if num_kept == 0:
        raise DataError(
            f"{folder}: no training pair has 1 to {max_length - 2} words in both languages (the longest has {longest}):"
            " raise the option 'max_length'."
        )


def _reference_texts(folder: Path, part: str, pairs: list[Pair]) -> list[str] | None:
    """Return the raw translations of a part, or None; raise DataError if their number differs."""
    path = folder / f"{part}.raw.{TARGET}"
    if not path.exists():
        return None
    texts = list(_lines(path))
    if len(texts) != len(pairs):
        raise DataError(f"{path}: it should have the {len(pairs):,} lines of {part}.{TARGET}, found {len(texts):,}.")
    return texts


def _split(pairs: list[Pair], vocabulary: Vocabulary, references: tuple[str, ...] = ()) -> PairSplit:
    return PairSplit(
        source=Sentences.from_lists(vocabulary.encode(english for english, _ in pairs)),
        target=Sentences.from_lists(vocabulary.encode(german for _, german in pairs)),
        vocabulary=vocabulary,
        references=references,
    )


def _evaluation_split(folder: Path, part: str, vocabulary: Vocabulary) -> PairSplit:
    """Build a split with references."""
    pairs = list(_pairs(folder, part))
    texts = _reference_texts(folder, part, pairs)
    references = [vocabulary.detokenize(german) for _, german in pairs] if texts is None else texts
    return _split(pairs, vocabulary, tuple(references))


def _options(subwords: str, vocabulary: int) -> Options:
    return Options(
        defaults={"subwords": subwords, "vocabulary": vocabulary, "max_length": 50},
        ranges={"vocabulary": (5, 1_000_000), "max_length": (3, 1_000)},
    )


WMT16 = DataSource(
    load=partial(load, "wmt16"),
    check=partial(check, "wmt16"),
    num_train=WMT16_PAIRS,
    options=_options("words", 32_320),
    description="WMT16 English-German, preprocessed as for MLPerf: 3,498,161 / 5,100 / 3,003 pairs, from a folder",
)
MULTI30K = DataSource(
    load=partial(load, "multi30k"),
    check=partial(check, "multi30k"),
    num_train=MULTI30K_PAIRS,
    options=_options("bpe", 4_000),
    description="Multi30K English-German image captions, raw: 29,000 / 1,014 / 1,000 pairs, from a folder",
)
