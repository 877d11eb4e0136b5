"""The model card of a trained model: its `README.md`, which says on the Hub what was done. It quotes no rows."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from nearfar.evaluation.result import metric_name
from nearfar.writing import write_text

if TYPE_CHECKING:
    from nearfar.evaluation import Interval, Result
    from nearfar.kinds.kind import Kind
    from nearfar.recipes import Recipe
    from nearfar.recipes._recipe import Paper
    from nearfar.training.forgetting import Forgetting

__all__ = ["model_card", "write_card"]

FILE = "README.md"
#: Stands for the model in examples, until it has a name on the Hub.
PLACE = "path/to/model"
# What the metadata say of the license: the Hub reads a comment as nothing.
_LICENSE = "# license: to be filled in, see https://huggingface.co/docs/hub/repositories-licenses"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def write_card(folder: Path, card: str) -> None:
    """Write a model's card; what the model itself wrote there is kept at its end."""
    file = folder / FILE
    there = file.read_text("utf-8") if file.is_file() else ""
    own = there.partition(_OWN)[2] if _OWN in there else there
    write_text(card + _OWN + own, file)


_OWN = "\n<!-- What follows was written by the model itself. -->\n"


def model_card(
    kind: Kind,
    recipe: Recipe,
    configuration: Mapping[str, Any],
    *,
    steps: int,
    before: Result | None = None,
    after: Result | None = None,
    change: Interval | None = None,
    forgetting: Forgetting | None = None,
) -> str:
    """The text of a card: metadata for the Hub, and what a reader must know.

    Args:
        kind: The trained model.
        recipe: What it was trained with.
        configuration: What `run.yaml` contains.
        steps: Number of optimiser steps.
        before, after: The evaluation of the base model and of the trained model, if there was one.
        change: The difference in the primary metric, with its interval.
        forgetting: The change on the general set, if there is one.
    """
    base, data = configuration["model"], configuration["data"]
    paper = recipe.paper
    parts = [
        _metadata(kind, recipe, configuration, after),
        f"# {recipe.name}: {kind.words.split(' ', 1)[-1]}",
        f"{_shown(recipe.summary)}." if recipe.summary else "",
        _results(before, after, change),
        "" if forgetting is None else _shown(forgetting.verdict()[0]),
        "## Use",
        _code(kind.usage.replace("MODEL", json.dumps(PLACE))) if _loads_alone(kind) else "",
        "With [nearfar](https://pypi.org/project/nearfar/):",
        _code(f"import nearfar\n\nmodel = nearfar.load({json.dumps(PLACE)})"),
        "## Training",
        _table(
            ["", ""],
            [
                ["recipe", _shown(recipe.name)],
                [
                    "paper",
                    "" if paper is None else f"[{_shown(paper.title)}]({paper.url}), {paper.authors} {paper.year}",
                ],
                ["base model", _shown(_base(base["name"]))],
                ["weights of the base model (hash)", _shown(base["weights"])],
                *_data(data),
                ["optimizer steps", f"{steps:,}"],
                ["seed", str(configuration["seed"])],
                ["versions", _shown(", ".join(f"{name} {of}" for name, of in configuration["versions"].items()))],
            ],
        ),
        "### Options",
        _table(["option", "value"], [[name, _shown(value)] for name, value in configuration["options"].items()]),
        _prompts(kind.host),
        "## Limits and license",
        "The figures above hold for the evaluation data named there; measure the model on your own before you use it. "
        "The license is for the publisher of this model to choose; it must suit those of the base model and the data.",
    ]
    if paper is not None:
        parts += ["## Citation", _code(_bibtex(recipe), "bibtex")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metadata(kind: Kind, recipe: Recipe, configuration: Mapping[str, Any], after: Result | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    base, sources = _base(configuration["model"]["name"]), _sources(configuration["data"])
    found: list[EvalResult] = []
    for metric, value in ({} if after is None else after.metrics).items():
        if after is not None and math.isfinite(value):
            name = _source(configuration["evaluation"]) or "held-out rows"
            found.append(
                EvalResult(after.task, "custom", name, metric, round(value, 4), metric_name=metric_name(metric))
            )
    data = ModelCardData(
        base_model=base if _HUB_ID.fullmatch(base) else None,
        datasets=[source for source in sources if _HUB_ID.fullmatch(source)] or None,
        library_name=kind.library,
        pipeline_tag=kind.pipeline,
        tags=["nearfar", recipe.name],
        model_name=recipe.name if found else None,
        eval_results=found or None,
    )
    return f"---\n{_LICENSE}\n{data.to_yaml()}\n---"


def _results(before: Result | None, after: Result | None, change: Interval | None) -> str:
    if before is None or after is None:
        return "## Results\n\nNot evaluated: no evaluation data was given."
    rows = [
        [metric_name(metric), _figure(before.metrics[metric]), _figure(after.metrics[metric])]
        for metric in before.metrics
        if metric in after.metrics
    ]
    said = f"{metric_name(before.primary)} changed by {after.score - before.score:+.3f}"
    if change is not None and not change.degenerate:
        said += f" (95% interval {change.low:+.3f} to {change.high:+.3f})"
    table = _table([f"{after.task}, {after.n:,} items", "base model", "this model"], rows)
    notes = [f"{note[:1].upper()}{note[1:]}." for note in dict.fromkeys(after.notes)]
    return "\n\n".join(["## Results", table, f"{said}.", *map(_shown, notes)])


def _cited(paper: Paper | None) -> str:
    return "" if paper is None else f"[{_shown(paper.title)}]({paper.url}), {paper.authors} {paper.year}"


def _data(data: Mapping[str, Any]) -> list[list[str]]:
    """Names, sizes and hashes of the training data."""
    sets = data.get("sets", {"": data})
    return [
        [
            f"training data {_shown(name)}".strip(),
            f"{_shown(', '.join(_sources(of)))}, {of['rows']:,} rows, SHA-256 {of.get('sha256', 'of its parts')}",
        ]
        for name, of in sets.items()
    ]


def _sources(data: Mapping[str, Any]) -> list[str]:
    return [_source(source) for source in str(data["source"]).split(", ")]


def _source(source: object) -> str:
    """A Hub ID as it is; of a file its name alone: where it is on a disk is nobody's business."""
    text = "" if source is None else str(source)
    return text if _HUB_ID.fullmatch(text) or text.startswith("in memory") else PurePath(text).name


def _loads_alone(kind: Kind) -> bool:
    """Whether the host library loads the model without this package."""
    from nearfar.models.frames import requires_nearfar

    return bool(kind.usage) and not requires_nearfar(kind.module)


def _base(name: object) -> str:
    from nearfar.models.aliases import ALIASES, GENERATORS

    packaged = {**ALIASES, **GENERATORS}.get(str(name))
    if packaged is not None and packaged.hub:
        return packaged.hub
    return _source(name) or "none: new weights"


def _prompts(host: Any) -> str:
    prompts = {name: text for name, text in (getattr(host, "prompts", None) or {}).items() if text}
    if not prompts:
        return ""
    return "### Prompts\n\n" + _table(
        ["name", "text"], [[_shown(name), _shown(text)] for name, text in prompts.items()]
    )


def _bibtex(recipe: Recipe) -> str:
    paper = recipe.paper
    assert paper is not None
    authors = " and ".join(paper.authors.replace(" et al.", ", others").split(", "))
    entries = {"title": f"{{{paper.title}}}", "author": authors, "year": paper.year, "url": paper.url}
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in entries.items())
    return f"@misc{{{recipe.name}{paper.year},\n{lines}\n}}"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *(row for row in rows if row[-1])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: object) -> str:
    """A value as text of Markdown: on one line, nothing in it formats or is HTML."""
    text = " ".join(str(value).split())
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", text)


def _code(text: str, language: str = "python") -> str:
    return f"```{language}\n{text}\n```"


def _figure(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "undefined"
