"""Runs with several temperatures: how the temperature changes the vectors of the user's own texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.kinds.options import with_settings
from nearfar.writing import folder_claimed

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.comparison.sweep_page import Measured
    from nearfar.kinds.kind import Progress
    from nearfar.recipes import Recipe


def temperature_sweep(
    recipe: str | Recipe,
    data: str | Path | Dataset,
    evaluation: str | Path | Dataset,
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    temperatures: Sequence[float] = (0.05, 0.1, 0.2, 0.5, 1.0),
    model: str | Path = "minilm",
    out: str | Path = "runs/sweep",
    seed: int = 0,
    resume: bool = False,
    columns: Mapping[str, str] | None = None,
    evaluation_columns: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> list[Measured]:
    """Train the base model `model` with every variant and temperature, and write `out/report.html`.

    Args:
        recipe: A recipe with a temperature, by name or as an object.
        data: Rows for training.
        evaluation: Labelled texts (text, label), used only for evaluation.
        variants: Name of a line in the figures -> its options; by default there is one line.
        temperatures: Temperatures, each for a run in its own folder `out/VARIANT-TEMPERATURE`.
        model: Base model, loaded again for each run.
        out: Folder of the runs and the report.
        seed, columns, evaluation_columns, **options: As for `nearfar.train`.
        resume: Whether to continue an interrupted sweep.
        progress: Called with step, number of steps, latest loss of the current run.

    Returns:
        Accuracy of a linear classifier, uniformity and tolerance of each run, in the order of variants, temperatures.

    Raises:
        InputError: As for `nearfar.train`; there are no temperatures; or evaluation rows have no labels.
    """
    from nearfar.comparison.sweep_page import temperature_page
    from nearfar.evaluation import detect_task
    from nearfar.recipes import get
    from nearfar.training.held_out import read_rows
    from nearfar.training.run import train

    chosen = get(recipe) if isinstance(recipe, str) else recipe
    runs = [
        (name, float(tau), {**options, **own, "temperature": float(tau)})
        for name, own in (variants or {chosen.name: {}}).items()
        for tau in dict.fromkeys(temperatures)
    ]
    if not runs:
        raise InputError(
            "expected at least one temperature, got none", field="temperatures", remedy="use e.g. 0.05, 0.2, 1"
        )
    for _, _, settings in runs:  # check all before the first one is trained
        with_settings(chosen.options(), settings)
    rows, mapped = read_rows(evaluation, columns, evaluation_columns)
    if detect_task(rows) != "classify":
        file = evaluation if isinstance(evaluation, (str, Path)) else None
        raise InputError("expected labelled texts (text, label)", file=file, field="evaluation")
    with folder_claimed(out):
        found = []
        for name, tau, settings in runs:
            # A line may be named by a path, which cannot be a folder name.
            folder = Path(out, f"{name.replace('/', '-')}-{tau:g}")
            run = train(
                chosen,
                data,
                model=model,
                evaluation=evaluation,
                out=folder,
                seed=seed,
                resume=resume and (folder / "run.yaml").exists(),
                columns=columns,
                evaluation_columns=mapped,
                progress=progress,
                **settings,
            )
            assert run.after is not None
            found.append(_measured(name, tau, run.after.score, run.model, rows))
        facts = [("recipe", chosen.name), ("model", model), ("seed", seed), *options.items()]
        temperature_page(found, facts).write(Path(out, "report.html"))
        return found


def _measured(name: str, tau: float, accuracy: float, model: SentenceTransformer, rows: Any) -> Measured:
    from nearfar import geometry
    from nearfar.comparison.sweep_page import Measured
    from nearfar.models.encoding import encode

    vectors = encode(model, list(rows["text"]))
    return Measured(name, tau, accuracy, geometry.uniformity(vectors), geometry.tolerance(vectors, list(rows["label"])))
