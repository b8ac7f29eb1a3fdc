"""Moses's detokenizer: restores plain text from the output of Moses's tokenizer.

BLEU is computed on detokenized text (Post, arXiv 1804.08771). The rules are those of Moses's detokenizer.perl for its
default language, English, which MLPerf's reference also applies to German. Rules for other languages are omitted.
"""

ENTITIES = {"&#124;": "|", "&#91;": "[", "&#93;": "]", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}
"""Characters that the tokenizer escapes, except the ampersand."""
CLOSING = frozenset(",.?!:;\\%}])")
"""Characters of tokens that attach to the previous word."""
OPENING = frozenset("$€£¥([{¿¡")
"""Characters of tokens that attach to the next word."""
QUOTES = {'"': '"', "„": '"', "“": '"', "”": '"', "'": "'"}
"""Quotation marks, which open and close alternately, mapped to the mark they pair with."""


def detokenize(text: str) -> str:
    """Remove the spaces around punctuation and restore escaped characters.

    >>> detokenize("The dogs &apos; owner doesn &apos;t say &quot; Hallo , Welt ! &quot; ( twice ) .")
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
