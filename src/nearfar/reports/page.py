"""A report page: one HTML file that needs nothing but a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from nearfar.reports.figure import Figure
from nearfar.reports.inline import asset, policy, script_json, version
from nearfar.reports.tables import Cell, Table
from nearfar.reports.text import plain
from nearfar.writing import draft_of

if TYPE_CHECKING:
    from jinja2 import Template

Tone = Literal["good", "neutral", "bad"]
_GLYPHS: dict[Tone, str] = {"good": "▲", "neutral": "●", "bad": "▼"}
MAX_BYTES = 5_000_000
"""Maximum size of a page, so that a report can be sent by mail."""
MAX_NUMBERS = 2_000_000
"""Maximum bytes of a page for the full numbers of its figures."""


@dataclass(frozen=True)
class _Block:
    """One part of a page; ``kind`` selects the template's branch."""

    kind: Literal["verdict", "section", "text", "figure", "table", "code", "data"]
    content: object
    extra: object = None


class Page:
    """A report, built from top to bottom and then written as one self-contained HTML file.

    Every text is shown literally, whatever it contains. The same calls give the same bytes.

    Args:
        title: The heading, and the window's title.
        subtitle: A sentence below it.
        facts: Names and values of the run: model, data, seed, ...

    Example:
        >>> page = Page("Run 7", facts=[("model", "minilm")])
        >>> page.verdict("Retrieval improved: nDCG@10 0.412 to 0.538", tone="good")
        >>> page.section("Training", text="One epoch over 1,000 pairs.")
        >>> page.write("report.html")  # doctest: +SKIP
    """

    def __init__(self, title: str, subtitle: str = "", facts: Sequence[tuple[str, object]] = ()) -> None:
        self._title, self._subtitle = plain(title), plain(subtitle)
        self._facts = [(plain(name), plain(value)) for name, value in facts]
        self._blocks: list[_Block] = []

    def verdict(self, text: str, tone: Tone = "neutral") -> None:
        """State the result in one sentence; ``tone`` says whether the result is good news.

        Raises:
            ValueError: ``tone`` is unknown.
        """
        if tone not in _GLYPHS:
            raise ValueError(f"invalid tone {tone!r}: must be one of {', '.join(_GLYPHS)}")
        self._blocks.append(_Block("verdict", plain(text), (tone, _GLYPHS[tone])))

    def section(self, title: str, text: str = "") -> None:
        """Start a section, optionally with text below its heading."""
        self._blocks.append(_Block("section", plain(title), sum(b.kind == "section" for b in self._blocks) + 1))
        if text:
            self.text(text)

    def text(self, text: str) -> None:
        """Add plain text; an empty line starts a new paragraph."""
        self._blocks += [_Block("text", part.strip()) for part in re.split(r"\n\s*\n", plain(text)) if part.strip()]

    def figure(self, figure: Figure) -> None:
        """Add a figure with a folded table of its numbers below it, from which a reader can save all of them."""
        numbers = script_json(figure.table.as_dict())
        kept = sum(len(b.extra.encode()) for b in self._blocks if b.kind == "figure" and isinstance(b.extra, str))
        fits = kept + len(numbers.encode()) <= MAX_NUMBERS
        self._blocks.append(_Block("figure", figure, numbers if fits else None))

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        caption: str = "",
        highlight: Sequence[int] = (),
    ) -> None:
        """Add a table; see `Table` for its arguments and errors."""
        self._blocks.append(_Block("table", Table(columns, rows, caption, highlight)))

    def code(self, text: str) -> None:
        """Add a command or a piece of code, shown unchanged."""
        self._blocks.append(_Block("code", plain(text).strip("\n")))

    def data(self, name: str, value: object) -> None:
        """Embed ``value`` as JSON for programs that read the page: ``<script type="application/json" id=name>``.

        Raises:
            ValueError: ``name`` is not a plain identifier or exists already, or ``value`` contains NaN or an infinity.
            TypeError: ``value`` is not made of JSON's types.
        """
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            raise ValueError(f"invalid name {name!r}: must be letters, digits, '-' and '_', and begin with a letter")
        if any(block.kind == "data" and block.extra == name for block in self._blocks):
            raise ValueError(f"data named {name!r} already exists on this page")
        self._blocks.append(_Block("data", script_json(value), name))

    def html(self) -> str:
        """The page as HTML."""
        style, script = (asset("nearfar.reports", f"assets/page.{kind}") for kind in ("css", "js"))
        return _template().render(
            title=self._title,
            subtitle=self._subtitle,
            facts=self._facts,
            blocks=self._blocks,
            policy=policy(style, script),
            style=Markup(style),
            script=Markup(script),
            version=version(),
        )

    def write(self, path: str | Path) -> Path:
        """Write the page to ``path``, completely or not at all, and return the path.

        Raises:
            ValueError: The page is larger than `MAX_BYTES`.
            OSError: The folder does not exist or is not writable.
        """
        path = Path(path)
        content = self.html().encode()
        if len(content) > MAX_BYTES:
            raise ValueError(
                f"{path}: expected at most {MAX_BYTES:,} bytes, got {len(content):,}; show fewer points or rows"
            )
        with draft_of(path) as draft:
            draft.write_bytes(content)
        return path


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nearfar.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    return environment.get_template("page.html.j2")
