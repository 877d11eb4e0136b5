"""A page for each recipe and one that lists them, generated from the recipes' own metadata."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from griffe import Docstring, DocstringSectionKind

from nearfar import recipes
from nearfar.data import SCHEMAS
from nearfar.kinds.options import LanguageOptions, TrainingOptions
from nearfar.recipes import Paper, Recipe
from nearfar.recipes._evidence import verdict

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
# A row of each schema, as a user would write it.
ROWS: dict[str, dict[str, Any]] = {
    "sentences": {"text": "the train leaves at nine"},
    "pairs": {"anchor": "when does the train leave?", "positive": "at nine, from platform two"},
    "labelled": {"text": "when does the train leave?", "label": "timetable"},
    "label texts": {"text": "when does the train leave?", "labels": ["timetable", "departure"]},
    "ranked lists": {
        "query": "when does the train leave?", "candidates": ["at nine", "from platform two"], "scores": [7.1, 0.4],
    },
    "scored pairs": {"sentence1": "a man plays", "sentence2": "someone makes music", "score": 0.7},
    "rationales": {
        "question": "Ann has 3 pens and buys 4. How many has she?",
        "answer": "7",
        "rationales": [{"text": "3 + 4 = 7.", "answer": "7"}, {"text": "4 - 3 = 1.", "answer": "1"}],
    },
    "dictionary": {"entry": "platform", "definition": "the raised floor beside the rails"},
    "dialogues": {
        "dialogue_id": "d1",
        "turns": [{"speaker": "user", "text": "to Bern, please", "acts": ["inform"], "slots": ["destination"]}],
    },
    "turns": {
        "dialogue_id": "d1", "speaker": "user", "text": "to Bern, please", "acts": ["inform"], "slots": ["destination"],
    },
    "domain dialogues": {
        "dialogue_id": "d1",
        "turns": [{"speaker": "user", "text": "to Bern, please", "frames": [["inform", "destination", "Bern"]]}],
        "domain": ["trains"],
    },
    "domain turns": {
        "dialogue_id": "d1", "speaker": "user", "text": "to Bern, please", "domain": "trains", "acts": ["inform"],
        "slots": ["destination=Bern"],
    },
    "interleaved": {
        "parts": [{"text": "The journey"}, {"image": "images/1.png"}, {"text": "It snowed before Bern."}],
    },
    "image + text": {"image": "images/1.png", "text": "a red train in the snow"},
    "audio + text": {"audio": "audio/1.wav", "text": "to Bern, please"},
    "domain pairs": {"anchor": "a lost card", "positive": "block it in the app", "domain": "banking"},
    "documents": {"text": "The train left at nine. Nobody had seen the snow coming."},
    "domain labelled": {"text": "my card is gone", "label": "lost card", "domain": "banking"},
    "images": {"image": "images/1.png"},
    "audio": {"audio": "audio/1.wav"},
    "image + label": {"image": "images/1.png", "label": "train"},
    "audio + label": {"audio": "audio/1.wav", "label": "timetable"},
    "image + attributes": {"image": "images/1.png", "attributes": [3, 0.4]},
    "audio + attributes": {"audio": "audio/1.wav", "attributes": [3, 0.4]},
    "text + attributes": {"text": "the train was nine minutes late", "attributes": [9, 0.4]},
}  # fmt: skip


def pages() -> dict[str, str]:
    """Path below docs/ -> text."""
    found = [recipes.get(name) for name in recipes.names()]
    return {"recipes/index.md": _list(found), **{f"recipes/{recipe.name}.md": _page(recipe) for recipe in found}}


def _list(found: list[Recipe]) -> str:
    parts = [
        "# Recipes",
        "Each recipe implements one paper. All share a kernel and a command: `nearfar train NAME --data rows.jsonl`. "
        "Choose a recipe by the data you have; the claims of the papers have been [tested](../evidence.md).",
        "| recipe | what it does | data it needs | evidence |\n| --- | --- | --- | --- |",
    ]
    parts[-1] += "".join(
        f"\n| [{r.name}]({r.name}.md) | {r.summary} | {', '.join(r.schemas)} | {_verdict_alone(r)} |" for r in found
    )
    return "\n\n".join(parts) + "\n"


def _page(recipe: Recipe) -> str:
    parts = [
        f"# {recipe.name}",
        f"*{recipe.paper.title}*, {recipe.paper.authors} {recipe.paper.year} ([paper]({recipe.paper.url})): "
        f"{recipe.summary}.",
        "## The idea",
        recipe.idea,
        "## When to use it",
        recipe.use_when,
        "## The data it needs",
        _needs(recipe),
        "## Command",
        _command(recipe),
        *_evidence(recipe),
        "## Options",
        "Set them with `--set NAME=VALUE`, or as keyword arguments of `nearfar.train`.",
        _options(recipe, own=True),
        '??? note "Options shared with other recipes"\n\n' + _indented(_options(recipe, own=False)),
        "## The paper, and what differs in nearfar",
        _docstring(recipe),
        "## Citation",
        f"```bibtex\n{bibtex(recipe.paper)}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _needs(recipe: Recipe) -> str:
    lines = []
    for name in recipe.schemas:
        schema = SCHEMAS[name]
        columns = ", ".join(f"`{column}`" for column in schema.required)
        optional = ", ".join(f"`{column}`" for column in schema.optional)
        more = f" (optional: {optional})" if optional else ""
        lines.append(f"- **{name}**: {schema.description}. Columns {columns}{more}.")
    rows = "\n".join(json.dumps(ROWS[name]) for name in recipe.schemas)
    other = "To use other column names, map them: `--columns anchor=question,positive=answer`."
    several = " To use several datasets, give each its own `--data`." if recipe.multi_dataset else ""
    if "stream" in recipe.roles:
        several = " Give each task its own `--data`, in order, or add a column `task` to one file."
    if len(recipe.roles) > 1:
        several = " " + " ".join(f"`{role}` has one of: {', '.join(names)}." for role, names in recipe.inputs.items())
    return "\n".join(lines) + f"\n\nAn example row of each, as jsonl:\n\n```json\n{rows}\n```\n\n{other}{several}"


def _command(recipe: Recipe) -> str:
    data = " ".join(["--data rows.jsonl"] + (["--data scores.jsonl"] if recipe.multi_dataset else []))
    if "stream" in recipe.roles:
        data = "--data first.jsonl --data second.jsonl"
    if len(recipe.roles) > 1:
        data = " ".join(f"--data {role}={role}.jsonl" for role in recipe.roles)
    lines = [f"nearfar train {recipe.name} {data} --out runs/{recipe.name}"]
    return "```sh\n" + "\n".join(lines) + "\n```"


def _evidence(recipe: Recipe) -> list[str]:
    line = verdict(recipe.name)
    if line is None:
        return ["## Evidence", "None yet."]
    result = json.loads((RESULTS / f"{recipe.name}.json").read_text("utf-8"))
    caveat = f"\n\nCaveat: {result['caveat']}" if result["caveat"] else ""
    return [
        "## Evidence",
        f"Claim: {result['claim']}\n\n**{line}**{caveat}\n\n"
        f"Data, backbone, budget and the scores of every seed: [evidence](../evidence.md#{recipe.name}).",
    ]


def evidence_of(name: str) -> str:
    """The verdict on a recipe's claim with its figures, linked, for a page beside `evidence.md`."""
    line = verdict(name)
    return "none yet" if line is None else f"[{line}](evidence.md#{name})"


def _verdict_alone(recipe: Recipe) -> str:
    line = verdict(recipe.name)
    return "none yet" if line is None else f"[{line.partition(':')[0]}](../evidence.md#{recipe.name})"


def _options(recipe: Recipe, own: bool) -> str:
    base = LanguageOptions if issubclass(recipe.options, LanguageOptions) else TrainingOptions
    # If several classes describe an option, the most derived class decides.
    described = {name: text for of in reversed(recipe.options.__mro__) for name, text in _described(of).items()}
    shared = {field.name for field in fields(base)}
    rows = ["| option | default | description |", "| --- | --- | --- |"]
    for field in fields(recipe.options):
        if (field.name in shared) != own:
            default = "" if field.default is MISSING else json.dumps(field.default)
            rows.append(f"| `{field.name}` | `{default}` | {described.get(field.name, '').replace('|', '&#124;')} |")
    return "\n".join(rows) if len(rows) > 2 else "This recipe has no options of its own."


def _described(options: type) -> dict[str, str]:
    """The descriptions of arguments in the docstring; `a, b: text` describes both."""
    found = {}
    for section in Docstring(options.__doc__ or "", parser="google").parse(warnings=False):
        if section.kind is DocstringSectionKind.parameters:
            for argument in section.value:
                for name in argument.name.split(","):
                    found[name.strip()] = " ".join(argument.description.split())
    return found


def _docstring(recipe: Recipe) -> str:
    import inspect

    text = inspect.cleandoc(inspect.getmodule(recipe.prepare).__doc__ or "")  # type: ignore[union-attr]
    # The page's head already says what the first line says.
    return text.partition("\n\n")[2]


def bibtex(paper: Paper) -> str:
    """A BibTeX entry. Authors are surnames, as in the recipe's metadata."""
    surnames = [name.strip() for name in paper.authors.split(",")]
    word = next(w for w in re.findall(r"[a-z]+", paper.title.lower()) if len(w) > 3)
    key = re.sub(r"[^a-z]", "", surnames[0].split()[-1].lower()) + str(paper.year) + word
    lines = [f"  title  = {{{{{paper.title}}}}}", f"  author = {{{' and '.join(f'{{{n}}}' for n in surnames)}}}"]
    lines += [f"  year   = {{{paper.year}}}", f"  url    = {{{paper.url}}}"]
    if found := re.fullmatch(r"https://arxiv.org/abs/([\d.]+)", paper.url):
        lines += [f"  eprint = {{{found[1]}}}", "  archivePrefix = {arXiv}"]
    return f"@misc{{{key},\n" + ",\n".join(lines) + "\n}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
