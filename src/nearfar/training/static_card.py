"""The card of a static model: what it is, what it is worth beside its teacher, and how to use it."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from nearfar.evaluation.compared import score_interval
from nearfar.evaluation.result import metric_name

if TYPE_CHECKING:
    from nearfar.evaluation import Result
    from nearfar.training.static_result import Distilled

__all__ = ["quality", "static_card"]


def static_card(made: Distilled, data: str | Path | None, sif: float | None) -> str:
    """The text of the card: metadata for the Hub, and what a reader must know. It quotes no rows.

    Args:
        made: The static model and its figures.
        data: Name of the evaluation data.
        sif: a of SIF's weights.
    """
    from huggingface_hub import ModelCardData

    from nearfar.models.aliases import ALIASES, GENERATORS

    packaged = {**ALIASES, **GENERATORS}.get(made.teacher)
    name = packaged.hub if packaged is not None and packaged.hub else PurePath(made.teacher).name
    metadata = ModelCardData(
        base_model=name if "/" in name else None,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["nearfar", "static-embeddings", "model2vec"],
    )
    weights = "all tokens count the same" if sif is None else f"weighted by SIF with a = {sif:g} and Zipf's law"
    rows = "\n".join(f"| {' | '.join(row)} |" for row in quality(made))
    measured = "" if data is None else f"Measured on {PurePath(str(data)).name}, with 95% intervals over its items. "
    return f"""---
# license: to be filled in; it must suit that of the base model
{metadata.to_yaml()}
---

# A static model of {name}

One vector of {made.dims} dimensions for each of {made.tokens:,} tokens; a text is the mean of its tokens.
The vectors are those that {name} gives to single tokens, after PCA, {weights}.

## Beside its teacher

| | teacher | this model |
| --- | --- | --- |
{rows}

{measured}Texts per second depend on the machine.

## Use

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/model")
```

```python
from model2vec import StaticModel

model = StaticModel.from_pretrained("path/to/model")
```

Made with [nearfar](https://pypi.org/project/nearfar/), by the method of
[model2vec](https://github.com/MinishLab/model2vec). The order of words does not matter to a static model: measure it on
your own data before you use it.
"""


def quality(made: Distilled) -> list[tuple[str, str, str]]:
    """Rows of a table: name, teacher, static model."""
    rows = []
    if made.before is not None and made.after is not None:
        rows.append((metric_name(made.before.primary), _figure(made.before), _figure(made.after)))
    if made.change is not None and not made.change.degenerate:
        low, high = f"{made.change.low:+.3f}", f"{made.change.high:+.3f}"
        rows.append(("difference", "", f"{made.change.mean:+.3f} ({low} to {high})"))
    teacher, static = made.texts_per_second
    rows.append(("texts per second", f"{teacher:,.0f}", f"{static:,.0f}"))
    return rows


def _figure(result: Result) -> str:
    interval = score_interval(result)
    if interval is None or interval.degenerate:
        return f"{result.score:.3f}"
    return f"{result.score:.3f} ({interval.low:.3f} to {interval.high:.3f})"
