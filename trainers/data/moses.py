"""Text as people write it, from text that Moses's tokenizer took apart.

BLEU is computed on such text (Post, arXiv 1804.08771). The rules are those of Moses's detokenizer.perl in its default
language, English, as MLPerf's reference runs it on German too; those for other languages are left out.
"""

ENTITIES = {"&#124;": "|", "&#91;": "[", "&#93;": "]", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}
"""Characters that the tokenizer escapes, besides the ampersand."""
CLOSING = frozenset(",.?!:;\\%}])")
"""Characters of the words that stand close to the word before."""
OPENING = frozenset("$€£¥([{¿¡")
"""Characters of the words that stand close to the word after."""
QUOTES = {'"': '"', "„": '"', "“": '"', "”": '"', "'": "'"}
"""Quotation marks, which open and close in turn, and those they are counted with."""


def detokenize(text: str) -> str:
    """The text without the spaces that the tokenizer put around punctuation, its escaped characters restored.

    >>> detokenized("The dogs &apos; owner doesn &apos;t say &quot; Hallo , Welt ! &quot; ( twice ) .")
    'The dogs\\' owner doesn\\'t say "Hallo, Welt!" (twice).'
    """
    pieces: list[str] = []
    is_open = dict.fromkeys(QUOTES.values(), False)
    space, before = "", ""
    for word in _unescape(text).split():
        following = " "
        if CLOSING.issuperset(word) or (word[0] == "'" and word[1:2].isalpha()) or (word == "'" and before[-1:] == "s"):
            space = ""
        elif OPENING.issuperset(word):
            following = ""
        elif word in QUOTES:
            opens = is_open[QUOTES[word]] = not is_open[QUOTES[word]]
            space, following = (space, "") if opens else ("", " ")
        pieces += [space, word]
        space, before = following, word
    return "".join(pieces)


def _unescape(text: str) -> str:
    for entity, character in ENTITIES.items():
        text = text.replace(entity, character)
    return text.replace("&amp;", "&").replace(" @-@ ", "-")
