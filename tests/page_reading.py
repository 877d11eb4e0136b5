"""What a report says: the figures behind its charts, the cells of its tables, its verdict and its texts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from nearfar.reports.page import Page


@dataclass
class Read:
    """The parts of a page, each in its order.

    Args:
        tone: Of the verdict: good, neutral or bad.
        verdict: Its sentence.
        sections: Headings.
        texts: Paragraphs.
        figures: Columns and rows behind each figure, with all digits.
        tables: Cells of each table, headings first, as they are shown; those of figures are among them.
        stressed: The rows of each table that are emphasised, from 0.
        facts: Names and values below the title.
        subtitle: The sentence below the title.
    """

    tone: str = ""
    verdict: str = ""
    sections: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    stressed: list[list[int]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    subtitle: str = ""

    def table(self, heading: str) -> list[dict[str, str]]:
        """The rows of the first table with this heading, by heading."""
        heads, *rows = next(table for table in self.tables if heading in table[0])
        return [dict(zip(heads, row, strict=True)) for row in rows]


def read_page(page: Page) -> Read:
    """Read a page's HTML."""
    reader = _Reader()
    reader.feed(page.html())
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found, self.open, self.text, self.name = Read(), "", "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = (dict(attrs).get("class") or "").split()
        if tag == "p" and "verdict" in classes:
            self.open, self.found.tone = "verdict", classes[1]
        elif tag == "p" and classes in (["text"], ["subtitle"]):
            self.open = classes[0]
        elif tag in ("h2", "dt", "dd", "td", "th"):
            self.open = tag
        elif tag == "script" and "numbers" in classes:
            self.open = "numbers"
        elif tag == "table":
            self.found.tables.append([])
            self.found.stressed.append([])
        elif tag == "tr":
            self.found.tables[-1].append([])
            if "stressed" in classes:
                self.found.stressed[-1].append(len(self.found.tables[-1]) - 2)
        else:
            return
        if tag not in ("table", "tr"):
            self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_endtag(self, tag: str) -> None:
        found, text = self.found, self.text.strip()
        ends = {"verdict": "p", "text": "p", "subtitle": "p", "numbers": "script"}
        if ends.get(self.open, self.open) != tag:
            return
        if self.open == "verdict":
            found.verdict = text
        elif self.open == "text":
            found.texts.append(text)
        elif self.open == "subtitle":
            found.subtitle = text
        elif self.open == "h2":
            found.sections.append(text)
        elif self.open == "dt":
            self.name = text
        elif self.open == "dd":
            found.facts[self.name] = text
        elif self.open == "numbers":
            found.figures.append(json.loads(text))
        elif self.open in ("td", "th"):
            found.tables[-1][-1].append(text)
        self.open = ""
