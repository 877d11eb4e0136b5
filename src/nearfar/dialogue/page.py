"""The workflow as a page: one HTML file that contains the graph, examples and some dialogues, and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from nearfar.data.files import unpacked_name
from nearfar.dialogue.change_page import change_data, change_words, counted_steps
from nearfar.dialogue.quality_text import ABOUT, quality_rows
from nearfar.dialogue.words.naming import as_shown, shortened
from nearfar.errors import InputError
from nearfar.reports.inline import asset, policy, script_json, version
from nearfar.reports.page import MAX_BYTES
from nearfar.reports.text import plain

if TYPE_CHECKING:
    from jinja2 import Template

    from nearfar.dialogue.result import Flow

SHOWN_DIALOGUES = 300
"""Maximum number of dialogues that can be followed on the page."""
_SHOWN_TURNS = 200
_PATHS_BYTES = 2_000_000
SCRIPTS = (
    "dom.js",
    "graph.js",
    "layout.js",
    "edges.js",
    "exports.js",
    "changes.js",
    "model.js",
    "camera.js",
    "drawing.js",
    "edits.js",
    "panels.js",
    "tips.js",
    "pointer.js",
    "keyboard.js",
    "filters.js",
    "main.js",
)
"""The scripts of the page, in the order in which they depend on each other."""


def page(flow: Flow) -> str:
    """The HTML of the page. The same workflow gives the same bytes.

    Raises:
        InputError: the page is larger than `nearfar.reports.page.MAX_BYTES`.
    """
    data = page_data(flow)
    style = asset("nearfar.reports", "assets/page.css") + "\n" + asset("nearfar.dialogue", "static/flow.css")
    script = "\n".join(asset("nearfar.dialogue", f"static/{name}") for name in SCRIPTS)
    html = _template().render(
        title=f"Workflow of {plain(_title(flow))}",
        facts=_facts(flow, data),
        change=change_words(flow),
        notes=[plain(note) for note in flow.log.notes],
        quality=quality_rows(flow),
        about_quality=ABOUT,
        speakers=[plain(name) for name in flow.log.speakers],
        policy=policy(style, script),
        style=Markup(style),
        script=Markup(script),
        data=script_json(data),
        version=version(),
    )
    if len(html.encode()) > MAX_BYTES:
        problem = f"expected a page of at most {MAX_BYTES:,} bytes, got {len(html.encode()):,}"
        raise InputError(problem, field="--actions", remedy="choose fewer actions, or write --out as .json")
    return html


def page_data(flow: Flow) -> dict[str, Any]:
    """The data of the page's scripts: nodes, counted steps for each selection of speakers, and some dialogues."""
    texts = _Texts(flow.log.texts)
    nodes = [
        {
            "speaker": int(speaker),
            "name": plain(of.name),
            "source": of.source,
            "words": [plain(word) for word in of.words],
            "slots": list(of.slots.items()),
            "examples": [[texts.number(text), count] for text, count in of.examples],
        }
        for speaker, of in zip(flow.actions.speaker, flow.described, strict=True)
    ]
    views = {"all": counted_steps(flow.counts())}
    if len(flow.log.speakers) > 1:
        views |= {str(index): counted_steps(flow.counts(index)) for index in range(len(flow.log.speakers))}
    paths = _paths(flow, texts)
    return {
        "rules": {"weigh": flow.rules.weighing, "edges": flow.rules.edges, "nodes": flow.rules.nodes},
        "speakers": [plain(name) for name in flow.log.speakers],
        "nodes": nodes,
        "views": {name: steps for name, (steps, _) in views.items()},
        "omitted": {name: gone for name, (_, gone) in views.items() if gone},
        "paths": paths,
        "edits": _plain_edits(flow.edits),
        "splits": flow.change is None or flow.change.method == "against",
        "change": change_data(flow),
        "texts": texts.shown,
        "name": plain(_title(flow)),
    }


def _plain_edits(edits: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The edits with texts as the page shows them; edits refer to utterances in that form."""

    def shown(value: Any) -> Any:
        if isinstance(value, str):
            return plain(value)
        if isinstance(value, Mapping):
            return {plain(name): shown(each) for name, each in value.items()}
        return [shown(each) for each in value] if isinstance(value, list) else value

    return [shown(edit) for edit in edits]


class _Texts:
    """The texts that the page shows, without duplicates; long ones are truncated."""

    def __init__(self, texts: list[str]) -> None:
        self._texts, self._numbers = texts, dict[int, int]()
        self.shown: list[str] = []
        self.bytes = 0

    def number(self, text: int) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(self.shown)
            self.shown.append(as_shown(self._texts[text]))
            self.bytes += len(script_json(self.shown[-1])) + 1
        return self._numbers[text]


def _paths(flow: Flow, texts: _Texts) -> list[list[Any]]:
    """Dialogues as [name, turns omitted, node, text, node, text, ...]; a random sample if there are many."""
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
    followed = "all" if shown == len(log) else f"random sample of {shown:,} out of {len(log):,}"
    found = [f"{len(flow.actions):,}"]
    if flow.facts["actions"] == "auto":
        found.append("number chosen automatically")
    if flow.actions.found_in is not None:
        found.append(f"clustered on a random sample of {flow.actions.found_in:,} dialogues")
    facts = [
        ("Dialogues", f"{len(log):,}" + (" (random sample)" if flow.facts["sample"] == len(log) else "")),
        ("Turns", f"{log.turns:,}"),
        ("Distinct texts", f"{len(np.unique(log.text)):,}"),
        ("Actions", ", ".join(found)),
        ("Model", plain(flow.facts["model"])),
        ("Dialogues to follow", followed),
    ]
    if flow.facts["namer"]:
        facts.append(("Named by", plain(flow.facts["namer"]).partition(" ")[0]))
    if flow.change is not None:
        before = flow.change.before.log
        facts.insert(0, ("Compared with", f"{plain(_named(flow.change.names[0]))}, {len(before):,} dialogues"))
    if data["omitted"]:
        gone = sum(data["omitted"].values())
        facts.append(("Omitted", f"the {gone:,} rarest steps; shares are computed without them"))
    return facts


def _title(flow: Flow) -> str:
    title = _named(str(flow.facts["source"]))
    if flow.change is None or flow.change.method == "update":
        return title
    return f"{title} against {_named(flow.change.names[1])}"


def _named(source: str) -> str:
    name = unpacked_name(Path(source)) or source
    for ending in (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".vtt", ".srt", ".yml", ".yaml"):
        name = name.removesuffix(ending)
    return shortened(name, 80)


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(asset("nearfar.dialogue", "static/flow.html.j2"))
