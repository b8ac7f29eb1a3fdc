"""A report's page as a browser parses it."""

from html.parser import HTMLParser

VOID = {"meta", "br", "img", "input", "link", "hr"}


class Read(HTMLParser):
    """A page as a browser parses it: its tags, tables, scripts and texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.scripts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self._rows: list[list[str]] = []
        self._cell: list[str] | None = None
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = {name: value or "" for name, value in attributes}
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._rows = self.tables.setdefault(found["id"].removeprefix("table-"), [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = []
        elif tag == "script":
            self.scripts.append((found.get("type", ""), ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            assert self._cell is not None
            self._rows[-1].append("".join(self._cell))
            self._cell = None

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            kind, before = self.scripts[-1]
            self.scripts[-1] = (kind, before + data)
        elif self._cell is not None:
            self._cell.append(data)

    def values(self, attribute: str) -> list[str]:
        return [found[attribute] for _, found in self.tags if attribute in found]
