"""A report page: one HTML file that needs nothing but a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from nearfar import __version__
from nearfar.reports._text import plain
from nearfar.reports.figure import Figure
from nearfar.reports.tables import Cell, Table
from nearfar.writing import draft_of

if TYPE_CHECKING:
    from jinja2 import Template

Tone = Literal["good", "neutral", "bad"]
_GLYPHS: dict[Tone, str] = {"good": "▲", "neutral": "●", "bad": "▼"}
MAX_BYTES = 5_000_000
"""Size that no page reaches: a report travels by mail."""
MAX_NUMBERS = 2_000_000
"""Bytes of a page that its figures' full numbers may fill."""


@dataclass(frozen=True)
class _Block:
    """One part of a page; ``kind`` selects the template's branch."""

    kind: Literal["verdict", "section", "text", "figure", "table", "code", "data"]
    content: object
    extra: object = None


class Page:
    """A report, built from top to bottom and then written as one self-contained HTML file.

    Every text is shown literally, whatever it holds. The same calls give the same bytes.

    Args:
        title: The heading, and the window's title.
        subtitle: A sentence below it.
        facts: Names and values of what was run: model, data, seed, ...

    Example:
        >>> page = Page("Run 7", facts=[("model", "minilm")])
        >>> page.verdict("Retrieval got better: nDCG@10 0.412 to 0.538", tone="good")
        >>> page.section("Training", text="One epoch over 1,000 pairs.")
        >>> page.write("report.html")  # doctest: +SKIP
    """

    def __init__(self, title: str, subtitle: str = "", facts: Sequence[tuple[str, object]] = ()) -> None:
        self._title, self._subtitle = plain(title), plain(subtitle)
        self._facts = [(plain(name), plain(value)) for name, value in facts]
        self._blocks: list[_Block] = []

    def verdict(self, text: str, tone: Tone = "neutral") -> None:
        """State the result in one sentence; ``tone`` says whether it is what one hopes for."""
        if tone not in _GLYPHS:
            raise ValueError(f"tone {tone!r} is none of {', '.join(_GLYPHS)}")
        self._blocks.append(_Block("verdict", plain(text), (tone, _GLYPHS[tone])))

    def section(self, title: str, text: str = "") -> None:
        """Open a section, optionally with text below its heading."""
        self._blocks.append(_Block("section", plain(title), sum(b.kind == "section" for b in self._blocks) + 1))
        if text:
            self.text(text)

    def text(self, text: str) -> None:
        """Add plain text; an empty line starts a new paragraph."""
        self._blocks += [_Block("text", part.strip()) for part in re.split(r"\n\s*\n", plain(text)) if part.strip()]

    def figure(self, figure: Figure) -> None:
        """Add a figure with the table of its numbers folded up below it, from where a reader can save all of them."""
        numbers = _script_json(figure.table.as_dict())
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
        """Add a table; see `Table` for its cells and for what it refuses."""
        self._blocks.append(_Block("table", Table(columns, rows, caption, highlight)))

    def code(self, text: str) -> None:
        """Add a command or a piece of code, shown as it is."""
        self._blocks.append(_Block("code", plain(text).strip("\n")))

    def data(self, name: str, value: object) -> None:
        """Embed ``value`` as JSON for programs that read the page: ``<script type="application/json" id=name>``.

        Raises:
            ValueError: ``name`` is not a plain identifier, or ``value`` holds NaN or an infinity.
            TypeError: ``value`` is not made of JSON's types.
        """
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            raise ValueError(f"{name!r} cannot name data; use letters, digits, '-' and '_'")
        if any(block.kind == "data" and block.extra == name for block in self._blocks):
            raise ValueError(f"the page has data named {name!r} already")
        self._blocks.append(_Block("data", _script_json(value), name))

    def html(self) -> str:
        """The page as HTML."""
        style, script = _asset("page.css"), _asset("page.js")
        policy = "; ".join(
            (
                "default-src 'none'",
                f"style-src '{_sha256(style)}'",
                f"script-src '{_sha256(script)}'",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
            )
        )
        return _template().render(
            title=self._title,
            subtitle=self._subtitle,
            facts=self._facts,
            blocks=self._blocks,
            policy=policy,
            style=Markup(style),
            script=Markup(script),
            version=__version__,
        )

    def write(self, path: str | Path) -> Path:
        """Write the page to ``path``, whole or not at all, and return the path.

        Raises:
            ValueError: The page is larger than `MAX_BYTES`.
            OSError: The folder does not exist or cannot be written.
        """
        path = Path(path)
        content = self.html().encode()
        if len(content) > MAX_BYTES:
            raise ValueError(f"{path}: the page has {len(content):,} bytes, more than {MAX_BYTES:,}; show fewer points")
        with draft_of(path) as draft:
            draft.write_bytes(content)
        return path


@cache
def _asset(name: str) -> str:
    return resources.files("nearfar.reports").joinpath("assets").joinpath(name).read_text("utf-8").strip()


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


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _script_json(value: object) -> Markup:
    """JSON that no HTML parser can leave a script element through: markup characters are written as escapes."""
    text = json.dumps(value, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
