"""What questions that a language model writes for a corpus are worth: `nearfar refine questions` against real queries.

    python benchmarks/questions.py --work DIR [--endpoint URL] [--model NAME] [--data scifact cranfield cisi]
    python benchmarks/questions.py --work DIR --data scifact --passages 200 --seeds 1      # a small version

For each dataset in NEARFAR_DATA, a language model writes questions for passages of the corpus. No real query is read
before the models are trained. Two figures:

- `gain`: nDCG@10 on the real queries, of the encoder trained on the questions minus the base model, with the paired 95%
  interval over queries; the mean over the seeds for each query.
- `correlation`: Spearman's correlation, over models, of nDCG@10 on the written questions of held-out documents with
  that on the real queries. The models are the base model cut to each number of its layers, and the trained ones. The
  questions were filtered by the base model itself, which may favour it: `unfiltered` is the same without the filter.

The calls are kept in DIR, so that the script can be run again, or go on after it was stopped. Questions of
SmolLM2-135M (the default, which comes as a package) are poor: use an endpoint, or a larger model on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from scipy.stats import spearmanr

import nearfar
from nearfar.data import Retrieval, load_retrieval
from nearfar.data.passages import load_passages
from nearfar.evaluation import evaluate, paired_difference
from nearfar.generation import CallLog
from nearfar.generation.endpoint import Endpoint
from nearfar.generation.local import LocalModel
from nearfar.generation.questions import NOT_FOUND, Found, Questions, write_questions
from nearfar.models import load
from nearfar.models.elastic import depth, truncated
from nearfar.writing import write_text

DATA = Path(os.environ.get("NEARFAR_DATA", "../shared/data"))
METRIC = "ndcg@10"
RESULTS = Path(__file__).parent / "results" / "questions.json"


def written(rows: Sequence[Mapping[str, Any]], corpus: Mapping[str, str]) -> Retrieval:
    """Written questions as a search in the whole corpus."""
    number = {text: key for key, text in reversed(corpus.items())}
    queries = {f"w{place}": row["anchor"] for place, row in enumerate(rows)}
    relevant = {f"w{place}": {number[row["positive"]]: 1} for place, row in enumerate(rows)}
    return Retrieval(dict(corpus), queries, relevant)


def per_query(model: Any, data: Retrieval) -> np.ndarray:
    found = evaluate(model, data).per_item
    assert found is not None
    return found[METRIC]


def joined(*searches: Retrieval) -> Retrieval:
    """Searches in the same corpus as one, so that a model encodes it once; the queries stay in their order."""
    queries = {key: text for search in searches for key, text in search.queries.items()}
    relevant = {key: documents for search in searches for key, documents in search.relevant.items()}
    return Retrieval(searches[0].corpus, queries, relevant)


def trained(rows: Sequence[Mapping[str, Any]], options: argparse.Namespace, seed: int) -> Any:
    """The encoder after training on the questions."""
    pairs = Dataset.from_list([{name: row[name] for name in ("anchor", "positive")} for row in rows])
    how: dict[str, Any] = {"max_steps": options.steps, "max_length": options.max_length, "batch_size": options.batch}
    with tempfile.TemporaryDirectory() as folder:
        run = nearfar.train("infonce", pairs, model=options.encoder, out=Path(folder, "run"), seed=seed, **how)
        return load(run.folder / "model")


def correlation(real: Sequence[float], on_written: Sequence[float]) -> float | None:
    """Spearman's correlation; None if it is not defined."""
    found = float(spearmanr(real, on_written).statistic)
    return None if np.isnan(found) else round(found, 3)


def measured(name: str, generator: Any, options: argparse.Namespace) -> dict[str, Any]:
    folder = DATA / name
    passages = load_passages(folder).rows
    how = Questions(
        per_passage=options.per_passage,
        passages=options.passages,
        rank=options.rank,
        max_passage=options.max_passage,
        held_out=0.2,
        seed=0,
    )
    base = load(options.encoder, max_length=options.max_length)
    began = time.monotonic()
    found: Found = write_questions(passages, generator, CallLog(options.work / f"{name}.calls.jsonl"), base, how)
    writing = time.monotonic() - began
    print(f"{name}: {found.counts}, {writing:.0f} s", flush=True)
    if len(found.kept) < options.batch or len(found.held_out) < 10:
        sys.exit(f"{name}: too few questions are kept to train on; write more with --passages and --per-passage")

    models = {f"base, {layers} layers": truncated(base, layers) for layers in range(1, depth(base))}
    models["base"] = base
    for seed in range(options.seeds):
        models[f"trained, seed {seed}"] = trained(found.kept, options, seed)
    test = load_retrieval(folder, "test")
    sides = {row["document"] for row in found.held_out}
    missed = [row for row in found.dropped if row["dropped"] == NOT_FOUND and row["document"] in sides]
    asked = joined(test, written([*found.held_out, *missed], test.corpus))
    scores = {key: per_query(model, asked) for key, model in models.items()}
    count = len(found.held_out) + len(missed)
    real = {key: of[:-count] for key, of in scores.items()}
    on_all = {key: float(of[-count:].mean()) for key, of in scores.items()}
    on_written = {key: float(of[-count:][: len(found.held_out)].mean()) for key, of in scores.items()}
    after = np.mean([real[f"trained, seed {seed}"] for seed in range(options.seeds)], axis=0)
    means = [float(each.mean()) for each in real.values()]
    return {
        "counts": found.counts,
        "seconds_of_writing": round(writing),
        "gain": [round(float(each), 4) for each in paired_difference(real["base"], after)],
        "correlation": correlation(means, list(on_written.values())),
        "correlation, unfiltered": correlation(means, list(on_all.values())),
        "models": {
            key: {
                "real": round(float(real[key].mean()), 4),
                "written": round(on_written[key], 4),
                "written, unfiltered": round(on_all[key], 4),
            }
            for key in models
        },
        "examples": [{key: row[key][:200] for key in ("anchor", "positive")} for row in found.kept[:5]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["scifact", "cranfield", "cisi"])
    parser.add_argument("--model", default="smollm2", help="language model")
    parser.add_argument("--endpoint", help="URL of an OpenAI-compatible endpoint with MODEL")
    parser.add_argument("--key-env", default="OPENAI_API_KEY")
    parser.add_argument("--workers", type=int, default=8, help="batch size, or concurrent requests")
    parser.add_argument("--encoder", default="minilm", help="encoder that filters and is trained")
    parser.add_argument("--passages", type=int, default=1000)
    parser.add_argument("--per-passage", type=int, default=2)
    parser.add_argument("--max-passage", type=int, default=2000, help="characters of a passage that are read")
    parser.add_argument("--rank", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--work", type=Path, required=True, help="folder of the calls")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    generator = (
        LocalModel(options.model, options.workers)
        if options.endpoint is None
        else Endpoint(options.endpoint, options.model, options.key_env, workers=options.workers)
    )
    found = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    for name in options.data:
        settings = {"language_model": generator.identity, "questions": asdict(Questions())["kinds"]}
        settings |= {key: value for key, value in vars(options).items() if isinstance(value, (int, float))}
        found[name] = {"settings": settings, **measured(name, generator, options)}
        write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", options.out)
        print(f"{name}: gain {found[name]['gain']}, correlation {found[name]['correlation']}", flush=True)


if __name__ == "__main__":
    main()
