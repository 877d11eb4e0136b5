"""The workflow as a page: one HTML file that holds the graph, examples and some dialogues, and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from nearfar import __version__
from nearfar.dialogue.graph import Edge
from nearfar.dialogue.naming import shortened
from nearfar.errors import InputError
from nearfar.reports.text import plain
from nearfar.reports.page import MAX_BYTES, _script_json, _sha256

if TYPE_CHECKING:
    from jinja2 import Template

    from nearfar.dialogue.extraction import Flow

SHOWN_DIALOGUES = 300
"""Dialogues that can be followed on the page."""
_SHOWN_TURNS = 200
_PATHS_BYTES, _LONGEST = 2_000_000, 300
_STEPS = 30_000
"""Different steps that the page holds, for each choice of speakers."""
_SCRIPTS = ("graph.js", "layout.js", "exports.js", "view.js")


def page(flow: Flow) -> str:
    """The page's HTML. The same workflow gives the same bytes.

    Raises:
        InputError: the page would be larger than a page may be.
    """
    data = page_data(flow)
    style = _asset("nearfar.reports", "assets/page.css") + "\n" + _asset("nearfar.dialogue", "static/flow.css")
    script = "\n".join(_asset("nearfar.dialogue", f"static/{name}") for name in _SCRIPTS)
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
    html = _template().render(
        title=f"Workflow of {plain(_title(flow))}",
        facts=_facts(flow, data),
        speakers=[plain(name) for name in flow.log.speakers],
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        data=_script_json(data),
        version=__version__,
    )
    if len(html.encode()) > MAX_BYTES:
        problem = f"the page would have {len(html.encode()):,} bytes, more than {MAX_BYTES:,}"
        raise InputError(problem, field="--actions", remedy="ask for fewer actions, or end --out in .json")
    return html


def page_data(flow: Flow) -> dict[str, Any]:
    """What the page's script works on: nodes, counted steps by choice of speakers, and some dialogues."""
    texts = _Texts(flow.log.texts)
    nodes = [
        {
            "speaker": int(speaker),
            "name": plain(of.name),
            "words": [plain(word) for word in of.words],
            "examples": [[texts.number(text), count] for text, count in of.examples],
        }
        for speaker, of in zip(flow.actions.speaker, flow.described, strict=True)
    ]
    views = {"all": _steps(flow.counts())}
    if len(flow.log.speakers) > 1:
        views |= {str(index): _steps(flow.counts(index)) for index in range(len(flow.log.speakers))}
    paths = _paths(flow, texts)
    return {
        "rules": {"weigh": flow.rules.weighing, "edges": flow.rules.edges, "nodes": flow.rules.nodes},
        "speakers": [plain(name) for name in flow.log.speakers],
        "nodes": nodes,
        "views": {name: steps for name, (steps, _) in views.items()},
        "left_out": {name: gone for name, (_, gone) in views.items() if gone},
        "paths": paths,
        "texts": texts.shown,
        "name": plain(_title(flow)),
    }


class _Texts:
    """The texts that the page shows, each once, long ones cut."""

    def __init__(self, texts: list[str]) -> None:
        self._texts, self._numbers = texts, dict[int, int]()
        self.shown: list[str] = []
        self.bytes = 0

    def number(self, text: int) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(self.shown)
            self.shown.append(plain(shortened(self._texts[text], _LONGEST)))
            self.bytes += len(_script_json(self.shown[-1])) + 1
        return self._numbers[text]


def _steps(counts: Mapping[Edge, int]) -> tuple[list[list[int]], int]:
    """Steps as [from, to, count], and how many of the rarest are left out where there are too many for a page."""
    steps = sorted(counts.items(), key=lambda step: (-step[1], step[0]))[:_STEPS]
    return [[a, b, count] for (a, b), count in sorted(steps)], len(counts) - len(steps)


def _paths(flow: Flow, texts: _Texts) -> list[list[Any]]:
    """Dialogues as [name, turns left out, node, text, node, text, ...], drawn at random if they are many."""
    log, nodes = flow.log, flow.nodes
    order = np.random.default_rng(flow.facts["seed"]).permutation(len(log))[:SHOWN_DIALOGUES]
    paths, size, before = [], 0, texts.bytes
    for number in np.sort(order).tolist():
        at = log.dialogue(number)
        cut = slice(at.start, min(at.stop, at.start + _SHOWN_TURNS))
        path = [shortened(plain(log.ids[number]), 80), at.stop - cut.stop]
        for node, text in zip(nodes[cut].tolist(), log.text[cut].tolist(), strict=True):
            path += [node, texts.number(text)]
        paths.append(path)
        size += 10 * len(path) + 80
        if size + texts.bytes - before > _PATHS_BYTES:
            break
    return paths


def _facts(flow: Flow, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    log = flow.log
    shown = len(data["paths"])
    followed = "all" if shown == len(log) else f"{shown:,} of {len(log):,}, drawn at random"
    found = [f"{len(flow.actions):,}"]
    if flow.facts["actions"] == "auto":
        found.append("number chosen")
    if flow.actions.found_in is not None:
        found.append(f"found in {flow.actions.found_in:,} dialogues drawn at random")
    facts = [
        ("Dialogues", f"{len(log):,}" + (", drawn at random" if flow.facts["sample"] == len(log) else "")),
        ("Turns", f"{log.turns:,}"),
        ("Different texts", f"{len(log.texts):,}"),
        ("Actions", ", ".join(found)),
        ("Model", plain(flow.facts["model"])),
        ("Dialogues to follow", followed),
    ]
    if flow.facts["namer"]:
        facts.append(("Names by", plain(flow.facts["namer"]).partition(" ")[0]))
    if data["left_out"]:
        gone = sum(data["left_out"].values())
        facts.append(("Left out", f"{gone:,} rarest steps: shares are of the others"))
    return facts


def _title(flow: Flow) -> str:
    source = str(flow.facts["source"])
    name = Path(source).name or source
    for ending in (".gz", ".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt"):
        name = name.removesuffix(ending)
    return shortened(name, 80)


@cache
def _asset(package: str, name: str) -> str:
    place = resources.files(package)
    for part in name.split("/"):
        place = place.joinpath(part)
    return place.read_text("utf-8").strip()


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("nearfar.dialogue", "static/flow.html.j2"))
