"""A static model of a text encoder in minutes, measured beside it: `nearfar distill`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.evaluation.speed import TIMED, texts_of, texts_per_second
from nearfar.training.static_result import Distilled
from nearfar.writing import check_free, check_writable, file_claimed, full_disk_noticed, replace_folder

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.data import Retrieval

__all__ = ["distill"]


def distill(
    model: str | Path,
    out: str | Path,
    *,
    data: str | Path | Dataset | Retrieval | None = None,
    task: str | None = None,
    columns: dict[str, str] | None = None,
    split: str = "test",
    dims: int = 256,
    sif: float | None = 1e-4,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Distilled:
    """Make a static model of a text encoder, and write it with a card that says what it is worth.

    Args:
        model: The encoder: a folder, a Hub ID or an alias.
        out: The folder to write, which must not exist; sentence-transformers and model2vec load it.
        data: Rows or a BEIR-format dataset on which both models are measured, or the source of one.
        task, columns, split: See `nearfar.evaluate` and `nearfar.data.load`.
        dims, sif: See `nearfar.models.static.static_of`.
        seed: Random seed of the evaluation.
        progress: Called with (tokens done, number of tokens).

    Raises:
        InputError: The model or the data cannot be used, or the folder exists.

    Example:
        >>> distill("minilm", "runs/static", data="pairs.jsonl").change
    """
    from nearfar.evaluation import check_task, evaluate
    from nearfar.evaluation.compared import paired_interval
    from nearfar.evaluation.rows import load_for_evaluation
    from nearfar.models.loading import load
    from nearfar.models.static import static_of, write_static
    from nearfar.models.sums import write_sums
    from nearfar.training.static_card import static_card

    for option, value in (("task", task), ("columns", columns)):
        if data is None and value is not None:
            raise InputError("requires data to measure on", field=option, remedy=f"give data, or remove {option}")
    if task is not None:
        check_task(task)
    target = Path(out)
    check_free(target)
    check_writable(target)
    rows = None if data is None else load_for_evaluation(data, columns, split)
    with file_claimed(target):
        check_free(target)  # once more: another process may just have finished
        teacher = load(model)
        started = time.perf_counter()
        static = static_of(teacher, dims, sif, progress=progress)
        seconds = time.perf_counter() - started
        before = after = change = None
        if rows is not None:
            before, after = (evaluate(each, rows, task, seed=seed) for each in (teacher, static))
            change = paired_interval(before, after, seed=seed)
        texts = _texts(rows, teacher)
        speed = texts_per_second(teacher, texts), texts_per_second(static, texts)
        table: Any = static[0]
        tokens, width = table.embedding.weight.shape
        made = Distilled(target, static, str(model), width, tokens, seconds, speed, before, after, change)
        name = data if isinstance(data, (str, Path)) else None

        def save(folder: Path) -> None:
            write_static(static, folder)
            (folder / "README.md").write_text(static_card(made, name, sif), "utf-8")
            write_sums(folder)

        with full_disk_noticed(target.parent):
            replace_folder(target, save)
    return made


def _texts(rows: Dataset | Retrieval | None, teacher: SentenceTransformer) -> list[str]:
    """Texts to time: those of the evaluation, or of 32 random tokens."""
    import random

    if rows is not None:
        return texts_of(rows)
    vocabulary = sorted(token for token in teacher.tokenizer.get_vocab() if token.isalpha())
    draw = random.Random(0)
    return [" ".join(draw.choices(vocabulary, k=32)) for _ in range(TIMED)]
