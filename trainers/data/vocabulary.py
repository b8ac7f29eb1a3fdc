"""Tokenization: a vocabulary shared by both languages of a translation task.

The option `subwords` selects one of two: "bpe" learns subwords from raw text; "words" uses the files' words unchanged,
for text that was split into subwords beforehand. Learning is deterministic. This module must not know files.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from .moses import detokenize

PAD, UNKNOWN, BEGIN, END = range(4)
"""The special tokens: padding, unknown word, begin of sentence and end of sentence."""
NUM_SPECIAL_TOKENS = 4
SUBWORD_JOINT = "@@ "
"""Separator of subword-nmt between two parts of a word."""
CHUNK = 10_000
"""Sentences encoded at once, so that a large corpus needs little memory beyond its tokens."""


class Vocabulary(ABC):
    """Token indices of both languages: 0 .. 3 are special tokens, text starts at 4."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of tokens, including special tokens."""

    @abstractmethod
    def encode(self, sentences: Iterable[str]) -> Iterator[list[int]]:
        """Yield the tokens of each sentence, without special tokens."""

    @abstractmethod
    def decode(self, tokens: Iterable[int]) -> str:
        """Return the detokenized text of tokens; special tokens and indices beyond the vocabulary are skipped."""

    @abstractmethod
    def detokenize(self, sentence: str) -> str:
        """Detokenize a sentence of the files; equals `decode` of its tokens if every word is known."""


class BytePairs(Vocabulary):
    """Byte-pair encoding of UTF-8 bytes: no word is unknown, and decoding restores the text.

    Source: Sennrich, Haddow and Birch, arXiv 1508.07909. Differs from it: merges start from bytes instead of
    characters, and a token includes the space before a word.
    """

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer

    @classmethod
    def learn(cls, sentences: Iterable[str], size: int) -> "BytePairs":
        """Learn the most frequent merges.

        Args:
            sentences: text of both languages.
            size: vocabulary size, >= 260: the special tokens and all bytes. The result is smaller if the text has too
                few pairs.
        """
        from tokenizers import (  # imported here: an extra installs it
            Tokenizer,
            decoders,
            models,
            pre_tokenizers,
            trainers,
        )

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
        """Yield the tokens of each sentence, without special tokens."""
        remaining = iter(sentences)
        while chunk := list(islice(remaining, CHUNK)):
            for encoding in self._tokenizer.encode_batch(chunk):
                yield [number + NUM_SPECIAL_TOKENS for number in encoding.ids]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens; invalid UTF-8 becomes the replacement character."""
        text: str = self._tokenizer.decode(
            [token - NUM_SPECIAL_TOKENS for token in tokens if token >= NUM_SPECIAL_TOKENS]
        )
        return text.strip()

    def detokenize(self, sentence: str) -> str:
        """Return the sentence itself: the files hold raw text."""
        return sentence


class Words(Vocabulary):
    """The words of preprocessed text, separated by white space; a word that ends in `@@` joins the next."""

    def __init__(self, words: Sequence[str]):
        self._words = words
        self._numbers = {word: number for number, word in enumerate(words, start=NUM_SPECIAL_TOKENS)}

    @classmethod
    def learn(cls, sentences: Iterable[str], size: int) -> "Words":
        """Take the most frequent words, ties in alphabetical order.

        Args:
            sentences: text of both languages.
            size: maximum vocabulary size, including special tokens.
        """
        counts = Counter(chain.from_iterable(sentence.split() for sentence in sentences))
        return cls(sorted(counts, key=lambda word: (-counts[word], word))[: size - NUM_SPECIAL_TOKENS])

    def __len__(self) -> int:
        return NUM_SPECIAL_TOKENS + len(self._words)

    def encode(self, sentences: Iterable[str]) -> Iterator[list[int]]:
        """Yield the tokens of each sentence, without special tokens."""
        numbers = self._numbers
        for sentence in sentences:
            yield [numbers.get(word, UNKNOWN) for word in sentence.split()]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of tokens with subwords joined and Moses's tokenization undone."""
        known = (token for token in tokens if NUM_SPECIAL_TOKENS <= token < len(self))
        return self.detokenize(" ".join(self._words[token - NUM_SPECIAL_TOKENS] for token in known))

    def detokenize(self, sentence: str) -> str:
        """Join subwords and undo Moses's tokenization.

        >>> Words([]).detokenize("Res@@ um@@ ption of the session .")
        'Resumption of the session.'
        """
        return detokenize(sentence.replace(SUBWORD_JOINT, "").removesuffix(SUBWORD_JOINT.strip()))


SUBWORDS: Mapping[str, Callable[[Iterable[str], int], Vocabulary]] = {"bpe": BytePairs.learn, "words": Words.learn}
"""(sentences, size) -> vocabulary, by the value of the option `subwords`."""
