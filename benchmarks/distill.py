"""What is lost and gained when MiniLM becomes a static model, and how `nearfar distill` compares with model2vec's own.

    NEARFAR_DATA=FOLDER python benchmarks/distill.py

Three public sets, none of which the method sees: SciFact (nDCG@10 of its test claims over 5,183 abstracts), the test
pairs of STS-B (Spearman's correlation), and Banking77 (accuracy of a classifier of 77 intents). The intervals are
paired, over queries, pairs or questions. `peer` is `model2vec.distill` with as many dimensions, if model2vec is
installed with its extra `distill`; what it writes is loaded and measured in the same way. Texts per second are those of
up to 1,024 texts of each set. About seven minutes on two cores with nothing beside.
"""

from __future__ import annotations

import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset

from claims._data import located, sts, table
from nearfar.data import Retrieval, load_retrieval
from nearfar.evaluation import evaluate
from nearfar.evaluation.compared import paired_interval
from nearfar.evaluation.speed import texts_of, texts_per_second
from nearfar.models import load
from nearfar.models.static import static_of
from nearfar.writing import write_text

RESULT = Path(__file__).parent / "results" / "distill.json"
ENCODER, DIMENSIONS = "minilm", 256

Data = Dataset | Retrieval


def intents(part: str) -> Dataset:
    rows = table("banking77", f"banking77-{part}.tsv.gz")
    return Dataset.from_list([{"text": row["text"], "label": row["intent"]} for row in rows])


def sets() -> dict[str, tuple[Data, dict[str, Any]]]:
    """Each set, and how it is evaluated."""
    scifact = located("scifact", "corpus.jsonl.gz").parent
    return {
        "SciFact": (load_retrieval(scifact, "test"), {}),
        "STS-B": (sts("test"), {}),
        "Banking77": (intents("test"), {"train": intents("train")}),
    }


def timed(make: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    made = make()
    return made, time.perf_counter() - began


def peer() -> tuple[Any, float] | None:
    """The same encoder distilled by model2vec, and the seconds it took; None if that is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("model2vec", "skeletoken")):
        return None
    from model2vec.distill import distill_from_model

    teacher = load(ENCODER)
    own, seconds = timed(
        lambda: distill_from_model(teacher[0].auto_model, teacher.tokenizer, pca_dims=DIMENSIONS, device="cpu")
    )
    with tempfile.TemporaryDirectory() as folder:
        own.save_pretrained(folder)
        return load(folder), seconds


def main() -> None:
    teacher = load(ENCODER)
    static, seconds = timed(lambda: static_of(teacher, DIMENSIONS))
    other = peer()
    models = {"teacher": teacher, "static": static} | ({} if other is None else {"peer": other[0]})
    found: dict[str, Any] = {}
    for name, (data, how) in sets().items():
        results = {key: evaluate(model, data, **how) for key, model in models.items()}
        texts = texts_of(data)
        found[name] = {
            "metric": results["teacher"].primary,
            "scores": {key: round(each.score, 4) for key, each in results.items()},
            "texts_per_second": {key: round(texts_per_second(model, texts)) for key, model in models.items()},
        }
        for less in ("teacher", *(["peer"] if other else [])):
            change = paired_interval(results[less], results["static"])
            found[name][f"static minus {less}"] = None if change is None else [round(each, 4) for each in change]
        print(name, found[name], flush=True)
    packages = ("torch", "transformers", "sentence-transformers", *(["model2vec"] if other else []))
    result = {
        "encoder": ENCODER,
        "dimensions": DIMENSIONS,
        "seconds": round(seconds, 1),
        "peer": None if other is None else {"name": "model2vec.distill", "seconds": round(other[1], 1)},
        "sets": found,
        "versions": {name: version(name) for name in packages},
        "cores": os.cpu_count(),
    }
    write_text(json.dumps(result, indent=1) + "\n", RESULT)


if __name__ == "__main__":
    main()
