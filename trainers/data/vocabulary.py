"""Sentences as numbers and back: a vocabulary shared by both languages of a translation task.

Two kinds, by the name that the option `subwords` gives them: "bpe" learns subwords from raw text, "words" takes the
words of the files as they are, for text that was cut into subwords beforehand. Learning is deterministic. This module
must not know files.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from .moses import detokenize

PAD, UNKNOWN, BEGIN, END = range(4)
"""The tokens that are no text: padding, a word that the vocabulary does not hold, begin and end of a sentence."""
NUM_SPECIAL_TOKENS = 4
SUBWORD_JOINT = "@@ "
"""What subword-nmt writes between two parts of a word."""
CHUNK = 10_000
"""Sentences encoded at once, so that a large corpus needs little memory beside its tokens."""


class Vocabulary(ABC):
    """Numbers the tokens of both languages: 0 .. 3 are marks, text begins at 4."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of tokens, the marks included."""

    @abstractmethod
    def encode(self, sentences: Iterable[str]) -> Iterator[list[int]]:
        """The tokens of each sentence, without marks."""

    @abstractmethod
    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens, as people write it; marks and numbers beyond the vocabulary give nothing."""

    @abstractmethod
    def detokenize(self, sentence: str) -> str:
        """A sentence of the files as people write it: what `decode` gives where every word is known."""


class BytePairs(Vocabulary):
    """Byte-pair encoding of UTF-8 bytes: no word is unknown, and decoding gives the text back.

    Source: Sennrich, Haddow and Birch, arXiv 1508.07909. Differs from it: merges start from bytes, not from
    characters, and a token holds the space before a word.
    """

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer

    @classmethod
    def learn(cls, sentences: Iterable[str], size: int) -> "BytePairs":
        """Learns the most frequent pairs.

        Args:
            sentences: text of both languages.
            size: number of tokens, marks included, at least 260: the marks and all bytes; fewer where the text has
                too few pairs.
        """
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # only here: an extra brings it

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=size - NUM_SPECIAL_TOKENS, initial_alphabet=alphabet, special_tokens=[], show_progress=False
        )
        tokenizer.train_from_iterator(sentences, trainer)
        return cls(tokenizer)

    def __len__(self) -> int:
        return NUM_SPECIAL_TOKENS + int(self._tokenizer.get_vocab_size())

    def encode(self, sentences: Iterable[str]) -> Iterator[list[int]]:
        """The tokens of each sentence, without marks."""
        remaining = iter(sentences)
        while chunk := list(islice(remaining, CHUNK)):
            for encoding in self._tokenizer.encode_batch(chunk):
                yield [number + NUM_SPECIAL_TOKENS for number in encoding.ids]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; bytes that are no UTF-8 become the replacement character."""
        text: str = self._tokenizer.decode(
            [token - NUM_SPECIAL_TOKENS for token in tokens if token >= NUM_SPECIAL_TOKENS]
        )
        return text.strip()

    def detokenize(self, sentence: str) -> str:
        """The sentence itself: the files hold raw text."""
        return sentence


class Words(Vocabulary):
    """The words of preprocessed text, between white space; `@@` at the end of one joins it to the next."""

    def __init__(self, words: Sequence[str]):
        self._words = words
        self._numbers = {word: number for number, word in enumerate(words, start=NUM_SPECIAL_TOKENS)}

    @classmethod
    def learn(cls, sentences: Iterable[str], size: int) -> "Words":
        """Takes the most frequent words; of equally frequent ones, the first in the order of their characters.

        Args:
            sentences: text of both languages.
            size: largest number of tokens, marks included.
        """
        counts = Counter(chain.from_iterable(sentence.split() for sentence in sentences))
        return cls(sorted(counts, key=lambda word: (-counts[word], word))[: size - NUM_SPECIAL_TOKENS])

    def __len__(self) -> int:
        return NUM_SPECIAL_TOKENS + len(self._words)

    def encode(self, sentences: Iterable[str]) -> Iterator[list[int]]:
        """The tokens of each sentence, without marks."""
        numbers = self._numbers
        for sentence in sentences:
            yield [numbers.get(word, UNKNOWN) for word in sentence.split()]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens, subwords joined and the spaces of Moses's tokenizer taken out."""
        known = (token for token in tokens if NUM_SPECIAL_TOKENS <= token < len(self))
        return self.detokenize(" ".join(self._words[token - NUM_SPECIAL_TOKENS] for token in known))

    def detokenize(self, sentence: str) -> str:
        """The sentence with its subwords joined and the spaces of Moses's tokenizer taken out.

        >>> Words([]).plain("Res@@ um@@ ption of the session .")
        'Resumption of the session.'
        """
        return detokenize(sentence.replace(SUBWORD_JOINT, "").removesuffix(SUBWORD_JOINT.strip()))


SUBWORDS: Mapping[str, Callable[[Iterable[str], int], Vocabulary]] = {"bpe": BytePairs.learn, "words": Words.learn}
"""How a vocabulary of a size is learned from sentences, by the name that the option `subwords` gives."""
