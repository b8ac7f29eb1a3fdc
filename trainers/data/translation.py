"""Parallel text from a folder: train, valid and test, English and German, one sentence a line.

WMT16 English-German as MLPerf's GNMT reference preprocesses it (tokenized and cut into subwords; newstest2015 and 2016
for validation, newstest2014 for test), or raw text such as Multi30K. The files of the two languages are read side by
side: line i of one is the translation of line i of the other.
"""

from collections.abc import Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path

from ..options import Options
from .data_folder import resolve_data_folder
from .dataset import DataError, Dataset, DataSource
from .sentence_pairs import PairSplit, Sentences
from .vocabulary import SUBWORDS, Vocabulary

SOURCE, TARGET = "en", "de"
"""MLPerf's and the papers' direction: from English to German."""
PARTS = ("train", "valid", "test")
WMT16_PAIRS = 3_498_161
"""Training pairs of at most 50 tokens a language, of 4,068,191 (MLPerf training results v0.5, NVIDIA's log
dgx1_ngc18.11_pytorch/gnmt/result_1.txt: "preproc_num_train_examples"). DATE's Table 2 says 3.5M."""
MULTI30K_PAIRS = 29_000
"""Training pairs of Multi30K (Elliott et al., arXiv 1605.00459, Table 1); none is longer than 50 words."""
MULTIPLE = 8
"""The number of tokens is rounded up to a multiple of it, as in the reference: matrix products are faster."""

Pair = tuple[str, str]


def load(default_folder: str, data_folder: str | None, *, subwords: str, vocabulary: int, max_length: int) -> Dataset:
    """Sentence pairs in memory, on the CPU.

    Training pairs with an empty side, or more than `max_length` words, are left out; validation and test are whole.
    The vocabulary is learned from the training pairs that are left, each time: a corpus of millions is better cut into
    subwords once, and loaded with "words".

    Args:
        default_folder: name of the data set's folder where `data_folder` holds several.
        data_folder: the folder with `train.en`, `train.de`, `valid.en` ... `test.de`, or the one that holds it; None
            takes $ZEROTUNE_DATA. Where it holds `valid.raw.de` or `test.raw.de` too, translations are compared with
            these, as MLPerf compares with the untokenized newstest2014; otherwise with `valid.de` and `test.de`, for
            "words" with the subwords joined and the spaces of Moses's tokenizer taken out.
        subwords: "bpe" learns byte pairs from raw text; "words" takes the words of preprocessed text.
        vocabulary: largest number of tokens, shared by both languages.
        max_length: words of a training sentence at most, its begin and its end counted as one each, as MLPerf does.
            Words are what white space separates: for preprocessed text they are the subwords.

    Raises:
        DataError: a file is missing, empty, cut short or not UTF-8, the two languages have not as many lines, or no
            pair is short enough.
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
    """Tests every file by reading it once, without learning a vocabulary: arguments as for `load`.

    Returns:
        Number of training pairs that `load` would give.

    Raises:
        DataError: as `load`.
    """
    folder = _find_folder(default_folder, data_folder, subwords, vocabulary)
    for part in ("valid", "test"):
        _reference_texts(folder, part, list(_pairs(folder, part)))
    return sum(1 for _ in _short_pairs(folder, max_length))


def _find_folder(default_folder: str, data_folder: str | None, subwords: str, vocabulary: int) -> Path:
    """The folder with the files; raises DataError where it is not there, or an option is not what it must be."""
    if subwords not in SUBWORDS:
        raise DataError(f"option 'subwords' must be {' or '.join(map(repr, SUBWORDS))}, got {subwords!r}.")
    if subwords == "bpe" and vocabulary < 260:
        raise DataError(f"option 'vocabulary' must be at least 260 for 'bpe': 4 marks and 256 bytes, got {vocabulary}.")
    chosen = resolve_data_folder(data_folder)
    names = ", ".join(f"{part}.{language}" for part in PARTS for language in (SOURCE, TARGET))
    if not chosen:
        raise DataError(f"{default_folder}: no folder is named: give one that holds {names} (--data, ZEROTUNE_DATA).")
    inner = Path(chosen) / default_folder
    folder = inner if inner.is_dir() else Path(chosen)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder: it should hold {names}, or a folder {default_folder} with them.")
    return folder


def _lines(path: Path) -> Iterator[str]:
    """The sentences of a file, one a line; raises DataError at the first thing that is wrong with it."""
    if not path.is_file():
        raise DataError(f"{path}: no such file: it should hold one sentence a line.")
    line, number = b"", 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield line.decode().strip()
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: line {number} is not UTF-8 ({error.reason}); convert the file.") from None
    if number == 0:
        raise DataError(f"{path}: it is empty: it should hold one sentence a line.")
    if not line.endswith(b"\n"):
        raise DataError(f"{path}: line {number}, the last, has no end: the file was cut short; get it again.")


def _pairs(folder: Path, part: str) -> Iterator[Pair]:
    """The lines of both languages side by side; raises DataError where they are not as many."""
    paths = [folder / f"{part}.{language}" for language in (SOURCE, TARGET)]
    for english, german in zip_longest(*map(_lines, paths)):
        if english is None or german is None:
            found = " and ".join(f"{path.name} has {sum(1 for _ in _lines(path)):,}" for path in paths)
            raise DataError(f"{folder}: both languages should have as many lines, but {found}: get them again.")
        yield english, german


def _short_pairs(folder: Path, max_length: int) -> Iterator[Pair]:
    """The training pairs that are neither empty nor too long; raises DataError where there is none."""
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
    """The raw translations beside a part, or None where there are none; raises DataError if they are not as many."""
    path = folder / f"{part}.raw.{TARGET}"
    if not path.exists():
        return None
    texts = list(_lines(path))
    if len(texts) != len(pairs):
        raise DataError(f"{path}: it should have the {len(pairs):,} lines of {part}.{TARGET}, found {len(texts):,}.")
    return texts


def _split(pairs: list[Pair], vocabulary: Vocabulary, references: tuple[str, ...] = ()) -> PairSplit:
    return PairSplit(
        source=Sentences.of(vocabulary.encode(english for english, _ in pairs)),
        target=Sentences.of(vocabulary.encode(german for _, german in pairs)),
        vocabulary=vocabulary,
        references=references,
    )


def _evaluation_split(folder: Path, part: str, vocabulary: Vocabulary) -> PairSplit:
    """A part with the translations that its own are compared with."""
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
