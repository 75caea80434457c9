"""Summaries as users see them: HTML as a browser parses it, and lines of a terminal."""

import io
import re
import warnings
from datetime import date

import pandas as pd

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import html5lib

from rich.cells import cell_len
from rich.console import Console

FLIGHTS = pd.DataFrame(
    {
        "carrier": pd.Categorical(["UA", "AA", None, "B6", "UA", "DL", "UA"]),
        "delay": [2.0, None, 4.0, -1.0, 0.0, 1.5, 7.0],
        "number": [1545, 1714, 1141, 725, 461, 1696, 507],
        "tail": ["N14228", None, "N619AA", "N804JB", "N668DN", "N39463", "N516JB"],
        "day": [date(2013, 1, 1)] * 7,
    },
    index=pd.date_range("2013-01-01", periods=7, freq="h", name="time"),
)

ELEMENTS = {"style", "div", "span", "bdi", "b", "br", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
ATTRIBUTES = {"class", "title"}


class Page:
    """A summary's HTML, parsed by the rules of browsers. It must be valid, and contain nothing that runs or loads."""

    def __init__(self, value):
        self.html = value if isinstance(value, str) else value._repr_html_()
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        self.root = parser.parseFragment(self.html)
        elements = list(self.root.iter())[1:]
        assert {element.tag for element in elements} <= ELEMENTS
        assert {name for element in elements for name in element.attrib} <= ATTRIBUTES
        styles = [element.text for element in elements if element.tag == "style"]
        assert len(styles) == 1
        assert not re.search(r"url\(|@import|http|[<>\\]", styles[0])
        self.root.remove(self.root.find("style"))

    @property
    def title(self):
        return _text(self._of("title")[0])

    @property
    def facts(self):
        """{label: fact}."""
        pairs = [fact.findall(".//bdi") for fact in self._of("facts")[0]] if self._of("facts") else []
        return {label.text: fact.text for label, fact in pairs}

    @property
    def remarks(self):
        return [_text(remark) for remark in self._of("remark")]

    @property
    def lines(self):
        return [_text(line) for line in self._of("line")]

    @property
    def captions(self):
        return [
            _text(result) for result in self.root.iter() if result.tag == "summary" or "caption" in _classes(result)
        ]

    @property
    def tables(self):
        """Of each table its rows, the headings first, as lists of texts."""
        return [[[_text(cell) for cell in row] for row in table.iter("tr")] for table in self.root.iter("table")]

    @property
    def text(self):
        return _text(self.root)

    def _of(self, name):
        return [element for element in self.root.iter() if name in _classes(element)]


def _classes(element):
    return element.get("class", "").split()


def _text(element):
    """The text of an element, with its line breaks."""
    inner = "".join(_text(part) + (part.tail or "") for part in element)
    return "\n" if element.tag == "br" else (element.text or "") + inner


def terminal(value, width=80, **options):
    """The lines that Rich prints; none is wider than the terminal, and none moves its cursor."""
    console = Console(width=width, file=io.StringIO(), **options)
    console.print(value)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert all(cell_len(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)
    return lines
