"""`nearfar export`: a text encoder in the format of another runtime, compared with the original before it is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.serving.result import Exported, TooDifferent
from nearfar.writing import check_free, check_writable, file_claimed, full_disk_noticed, replace_folder

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.data import Retrieval

__all__ = ["FILE", "TARGETS", "export"]

#: The figures, in the folder of an export.
FILE = "export.json"
#: Number of texts whose vectors are compared.
COMPARED = 100
#: Size of the search that is measured by default, and length of its documents.
DOCUMENTS, CHARACTERS = 400, 200


@dataclass(frozen=True)
class _Target:
    """One row of the table of targets.

    Args:
        module: Where `write` and the function `load` are.
        load: Name of the function that reads the export.
        limit: Greatest difference that is accepted by default.
        limit_int8: The same for int8; None: there is no int8.
        requires: Packages that must be installed; the extra has the target's name.
        start: How the export is used, with FOLDER.
    """

    module: str
    load: str
    limit: float
    limit_int8: float | None
    requires: tuple[str, ...]
    start: str


#: What a model can be exported for.
TARGETS = {
    "onnx": _Target(
        "onnx_target",
        "load",
        1e-4,
        0.05,
        ("onnx", "onnxscript", "onnxruntime"),
        "onnxruntime.InferenceSession('FOLDER/onnx/model.onnx')",
    ),
    "openvino": _Target(
        "openvino_target",
        "load",
        1e-4,
        0.02,
        ("openvino", "onnx", "onnxscript"),
        "openvino.Core().compile_model('FOLDER/openvino/openvino_model.xml', 'CPU')",
    ),
    "tei": _Target(
        "server_target",
        "load_tei",
        1e-4,
        None,
        (),
        "docker run -p 8080:80 -v FOLDER:/model ghcr.io/huggingface/text-embeddings-inference:cpu-1.9 "
        "--model-id /model --dtype float32",
    ),
    "vllm": _Target("server_target", "load_vllm", 1e-4, None, (), "vllm serve FOLDER --runner pooling --dtype float32"),
    "static": _Target("static_target", "load", 2.0, None, (), "SentenceTransformer('FOLDER')"),
}


def export(
    model: str | Path,
    target: str,
    out: str | Path,
    *,
    int8: bool = False,
    data: str | Path | Dataset | Retrieval | None = None,
    task: str | None = None,
    columns: dict[str, str] | None = None,
    split: str = "test",
    limit: float | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Exported:
    """Write a text encoder for another runtime, and compare it with the original.

    The export is read as the runtime reads it. Compared are the vectors of 100 texts (of a static model, whose vectors
    are in another space, the cosines of their pairs), the metric of an evaluation with the paired interval of its
    change, texts per second, and bytes. The figures are in the folder's `export.json`.

    Args:
        model: A text encoder: a folder, a Hub ID or an alias.
        target: One of `TARGETS`: `onnx`, `openvino`, `tei` (text-embeddings-inference), `vllm` or `static`.
        out: The folder to write, which must not exist.
        int8: Store weights in 8 bits, for `onnx` and `openvino`.
        data: Rows or a BEIR-format dataset to compare on, or the source of one; by default a search in the docstrings
            of Python's standard library.
        task, columns, split: See `nearfar.evaluate` and `nearfar.data.load`.
        limit: Greatest difference that is accepted; by default 1e-4, for int8 0.05 (onnx) or 0.02 (openvino), and for
            static models 2, which accepts all.
        seed: Random seed of the evaluation.
        progress: Called with what is done next.

    Raises:
        InputError: The model, the data or an argument cannot be used, a package is missing, or the folder exists.
        TooDifferent: The difference is above the limit; nothing was written.

    Example:
        >>> nearfar.export("minilm", "onnx", "exports/minilm").difference  # doctest: +SKIP
        6.5e-13
    """
    from nearfar.evaluation import check_task
    from nearfar.evaluation.rows import load_for_evaluation
    from nearfar.evaluation.tasks import task_of
    from nearfar.kinds.loading import kind_named
    from nearfar.serving.settings import check_exportable

    chosen = _checked(target, int8, limit)
    for option, value in (("task", task), ("columns", columns)):
        if data is None and value is not None:
            raise InputError("requires data to measure on", field=option, remedy=f"give data, or remove {option}")
    if task is not None:
        check_task(task)
    folder = Path(out)
    check_free(folder)
    check_writable(folder)
    say = progress or (lambda _: None)
    rows = _standard_library() if data is None else load_for_evaluation(data, columns, split)
    if data is not None:
        # Before anything is written; the evaluation itself comes last.
        task_of(rows, kind_named("encoder"), task)
    with file_claimed(folder):
        check_free(folder)  # once more: another process may just have finished
        original = _loaded(model)
        check_exportable(original, target)
        module = import_module(f"nearfar.serving.{chosen.module}")
        made: list[Exported] = []

        def save(part: Path) -> None:
            say(f"writing for {target}")
            module.write(original, part, int8)
            say("comparing with the original")
            served = getattr(module, chosen.load)(part, original.max_seq_length)
            found = _compared(original, served, part, rows, task, seed, same_space=target != "static")
            made.append(
                Exported(
                    folder,
                    target,
                    int8,
                    str(model),
                    limit=_limit(chosen, int8) if limit is None else limit,
                    data="docstrings of the standard library" if data is None else _name(data),
                    start=chosen.start.replace(
                        "FOLDER", str(folder.absolute() if "docker" in chosen.start else folder)
                    ),
                    notes=_notes(original, target),
                    **found,
                )
            )
            if not made[0].passed:
                raise TooDifferent(made[0])
            _write_figures(part, made[0])

        with full_disk_noticed(folder.parent):
            replace_folder(folder, save)
    return made[0]


def _checked(target: str, int8: bool, limit: float | None) -> _Target:
    if target not in TARGETS:
        raise InputError(f"unknown target {target!r}", field="--for", remedy=f"choose from {', '.join(TARGETS)}")
    found = TARGETS[target]
    if int8 and found.limit_int8 is None:
        has = ", ".join(name for name, each in TARGETS.items() if each.limit_int8 is not None)
        raise InputError(f"{target} has no int8", field="--int8", remedy=f"remove it, or use --for {has}")
    if limit is not None and not (math.isfinite(limit) and limit >= 0):
        raise InputError(f"invalid value {limit}: must be 0 or more", field="--limit")
    missing = [name for name in found.requires if find_spec(name) is None]
    if missing:
        problem = f"{target} requires {', '.join(missing)}"
        raise InputError(problem, field="--for", remedy=f"pip install 'nearfar[{target}]'")
    return found


def _limit(target: _Target, int8: bool) -> float:
    return target.limit_int8 if int8 and target.limit_int8 is not None else target.limit


def _loaded(model: str | Path) -> SentenceTransformer:
    from nearfar.kinds.loading import class_of
    from nearfar.models.loading import load

    kind = class_of(model)
    if kind.name != "encoder":
        problem = f"expected a text encoder, got {kind.words}"
        raise InputError(problem, file=model, field="model", remedy="export a text encoder")
    return load(model, device="cpu")


def _standard_library() -> Retrieval:
    """Search Python's standard library: docstrings as queries for their functions, none of which the demo trains on."""
    from nearfar.data import Retrieval
    from nearfar.demo.docstrings import harvest, part_of

    entries = [entry for entry in harvest() if part_of(entry.module, 0) == "test"][:DOCUMENTS]
    # Short texts: the comparison must not take longer than the export.
    corpus = {entry.name: entry.text[:CHARACTERS] for entry in entries}
    queries = {f"q {entry.name}": entry.summary for entry in entries[::2]}
    return Retrieval(corpus, queries, {name: {name.removeprefix("q "): 1} for name in queries})


def _compared(
    original: SentenceTransformer,
    served: SentenceTransformer,
    part: Path,
    rows: Dataset | Retrieval,
    task: str | None,
    seed: int,
    *,
    same_space: bool,
) -> dict[str, Any]:
    from nearfar.evaluation import evaluate
    from nearfar.evaluation.compared import paired_interval
    from nearfar.evaluation.speed import texts_of, texts_per_second
    from nearfar.serving.settings import bytes_of

    texts = texts_of(rows)
    measure, difference = _difference(original, served, texts[:COMPARED], same_space)
    before, after = (evaluate(each, rows, task, seed=seed) for each in (original, served))
    weights = sum(value.numel() * value.element_size() for value in original.state_dict().values())
    return {
        "measure": measure,
        "difference": difference,
        "texts": len(texts[:COMPARED]),
        "before": before,
        "after": after,
        "change": paired_interval(before, after, seed=seed),
        "texts_per_second": (texts_per_second(original, texts), texts_per_second(served, texts)),
        "bytes": (weights, bytes_of(part)),
    }


def _difference(
    original: SentenceTransformer, served: SentenceTransformer, texts: list[str], same_space: bool
) -> tuple[str, float]:
    """The greatest 1 - cos of a text's two vectors; in another space, the greatest difference of a pair's cosines."""
    import numpy as np

    def units(model: SentenceTransformer) -> np.ndarray:
        vectors = np.asarray(model.encode(texts, show_progress_bar=False), np.float64)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)

    a, b = units(original), units(served)
    if same_space:
        # Half the squared distance of unit vectors is 1 - cos, and exact where the cosine is almost 1.
        return "vectors", float(((a - b) ** 2).sum(1).max() / 2)
    return "similarities", float(np.abs(a @ a.T - b @ b.T).max())


def _notes(model: SentenceTransformer, target: str) -> tuple[str, ...]:
    """What the user of an export has to do that the model does by itself elsewhere."""
    notes = []
    prompts = [name for name, text in model.prompts.items() if text]
    if prompts and target in ("tei", "vllm"):
        by_name = "choose one with --default-prompt-name, or in each request by prompt_name"
        how = by_name if target == "tei" else "the server adds none: put them before the texts"
        notes.append(f"the model has prompts ({', '.join(prompts)}); {how}")
    if target in ("onnx", "openvino"):
        notes.append(f"SentenceTransformer(folder, backend='{target}') requires optimum, which needs transformers < 5")
    if target == "openvino":
        notes.append("compared in float32; OpenVINO takes bfloat16 where the CPU has it: see INFERENCE_PRECISION_HINT")
    return tuple(notes)


def _write_figures(folder: Path, made: Exported) -> None:
    from nearfar.models.sums import write_sums

    # The folder is moved and shared: its own place and that of the original are not in it.
    start = made.start.replace(str(made.folder.absolute()), "$PWD").replace(str(made.folder), ".")
    model = Path(made.model).name if Path(made.model).exists() else made.model
    text = json.dumps({**made.as_dict(), "model": model, "start": start}, indent=2, ensure_ascii=False)
    (folder / FILE).write_text(f"{text}\n", "utf-8")
    write_sums(folder)


def _name(data: Any) -> str:
    return Path(data).name if isinstance(data, (str, Path)) else f"in memory: {type(data).__name__}"
