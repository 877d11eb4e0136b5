"""What a run of a language model is checked for, and what is written down of it, before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.kinds.options import LanguageOptions
from nearfar.training.folder import processes
from nearfar.training.rows import source_of

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.recipes._recipe import LanguagePlan, Recipe

#: Documents beyond which a measurement becomes no better, only slower.
MOST_HELD_OUT = 1000


def check_settings(options: LanguageOptions, evaluation: Any) -> None:
    """Raise an InputError where options do not go together."""
    import torch

    if options.eval_steps and evaluation is None and not options.held_out:
        remedy = "give --eval, or set held_out"
        raise InputError("there is nothing to evaluate on", field="eval_steps", remedy=remedy)
    if options.precision == "float16" and not torch.cuda.is_available():
        raise InputError("float16 needs a GPU", field="precision", remedy="use float32 or bfloat16")


def one_mapping(columns: Any) -> Mapping[str, str] | None:
    """The columns of all documents: canonical name -> name in the file.

    Raises:
        InputError: there are several mappings.
    """
    if columns is None or isinstance(columns, Mapping):
        return columns or None
    if len(columns) > 1:
        problem = f"{len(columns)} mappings, and all documents are read by one"
        raise InputError(problem, field="--columns", remedy="give one, such as text=body")
    return columns[0] if columns else None


def split_documents(rows: Dataset, part: float, seed: int) -> tuple[Dataset, Dataset | None]:
    """Documents to train on and to hold out, each in the order of the data.

    Raises:
        InputError: there is one document alone.
    """
    import numpy as np

    if not part:
        return rows, None
    if len(rows) < 2:
        raise InputError(
            "one document alone: none can be held out",
            field="held_out",
            remedy="part documents by blank lines, give --eval, or set held_out=0",
        )
    order = np.random.default_rng(seed).permutation(len(rows))
    count = min(max(1, int(part * len(rows))), MOST_HELD_OUT)
    return rows.select(np.sort(order[count:])), rows.select(np.sort(order[:count]))


def check_blocks(plan: LanguagePlan, blocks: Dataset, options: LanguageOptions) -> None:
    """Raise an InputError where the model cannot read blocks of that length, or they are too few for one step."""
    limit = getattr(plan.model.config, "max_position_embeddings", None)
    if isinstance(limit, int) and options.max_length > limit:
        problem = f"{options.max_length} tokens cannot be read: the model has {limit} positions"
        raise InputError(problem, field="max_length", remedy=f"use at most {limit}")
    needed = options.batch_size * options.gradient_accumulation * processes()
    if len(blocks) < needed:
        raise InputError(
            f"the documents fill {len(blocks)} blocks of {options.max_length} tokens, and a step takes {needed}",
            field="batch_size",
            remedy="give more text, or set a smaller batch_size or max_length",
        )


def configuration_of(
    recipe: Recipe,
    data: Any,
    columns: Mapping[str, str] | None,
    model: Any,
    evaluation: Any,
    evaluation_columns: Mapping[str, str] | None,
    options: LanguageOptions,
    seed: int,
    rows: Dataset,
) -> dict[str, Any]:
    """What `run.yaml` records."""
    from nearfar.data.fingerprint import fingerprint
    from nearfar.models.language import weights_hash
    from nearfar.models.new_language import shape_hash
    from nearfar.training.run import made_by

    sources = [data] if isinstance(data, (str, Path)) or not isinstance(data, Sequence) else data
    held = None
    if isinstance(model, (str, Path)):
        # Where a recipe makes a model of its own, another one's weights are not read.
        held = shape_hash(model) if recipe.model is None else weights_hash(model)
    return {
        "recipe": recipe.name,
        "data": {
            "source": ", ".join(str(source_of(source)) for source in sources),
            "rows": len(rows),
            "sha256": fingerprint(rows),
        },
        "columns": None if columns is None else dict(columns),
        "model": {"name": source_of(model), "weights": held},
        "evaluation": source_of(evaluation),
        "evaluation_columns": None if evaluation_columns is None else dict(evaluation_columns),
        "options": asdict(options),
        "seed": seed,
        **made_by(),
    }
