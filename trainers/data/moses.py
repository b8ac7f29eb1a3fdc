"""Text as people write it, from text that Moses's tokenizer took apart.

BLEU is computed on such text (Post, arXiv 1804.08771). The rules are those of Moses's detokenizer.perl that English and
German need; languages without spaces and French elisions are left out.
"""

ENTITIES = {"&#124;": "|", "&#91;": "[", "&#93;": "]", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}
"""Characters that the tokenizer escapes, besides the ampersand."""
CLOSING = frozenset(",.?!:;%)]}»…")
"""Characters of the words that stand close to the word before."""
OPENING = frozenset("([{«¿¡$£")
"""Characters of the words that stand close to the word after."""


def detokenized(text: str) -> str:
    """The text without the spaces that the tokenizer put around punctuation, its escaped characters restored.

    A quotation mark opens and closes in turn; an apostrophe before a letter belongs to the word before.

    >>> detokenized("Don &apos;t say &quot; Hallo , Welt ! &quot; ( twice ) .")
    'Don\\'t say "Hallo, Welt!" (twice).'
    """
    pieces: list[str] = []
    close, num_quotes = True, 0
    for word in _unescaped(text).split():
        if word == '"':
            opens = num_quotes % 2 == 0
            num_quotes += 1
            pieces.append(word if close or not opens else " " + word)
            close = opens
        else:
            after_word = CLOSING.issuperset(word) or (word[0] == "'" and word[1:2].isalpha())
            pieces.append(word if close or after_word else " " + word)
            close = OPENING.issuperset(word)
    return "".join(pieces)


def _unescaped(text: str) -> str:
    for entity, character in ENTITIES.items():
        text = text.replace(entity, character)
    return text.replace("&amp;", "&").replace(" @-@ ", "-")
