"""What are negatives that `nearfar mine` takes from the corpus worth?

    NEARFAR_DATA=FOLDER python benchmarks/mined.py --work FOLDER [--seeds 5] [--epochs 3]

Pairs are claims of SciFact and the titles of the abstracts that they cite. `compare` trains MiniLM by infonce on the
pairs alone and on the pairs with negatives from all titles: at random, the nearest ones of MiniLM (`nearest`), and the
nearest ones whose score is at least 5 % below that of the positive (`margin`). Evaluated on the test claims (nDCG@10
over all titles). Every run sees the same number of pairs. The folder can be used again to resume.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

import nearfar
from _scifact import claims
from nearfar.data import write_jsonl
from nearfar.mining import HardNegatives
from nearfar.writing import write_text

RESULT = Path(__file__).parent / "results" / "mined.json"
ENCODER, NEGATIVES, MARGIN = "minilm", 3, 0.05
WAYS = {
    "nearest": HardNegatives(NEGATIVES),
    "margin": HardNegatives(NEGATIVES, relative_margin=MARGIN),
}


def variants(pairs: list[dict[str, Any]], titles: list[str], work: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    """Files of rows with negatives, and what mining reported."""
    files, reports = {}, {}
    for name, how in WAYS.items():
        files[name] = work / f"{name}.jsonl"
        found = nearfar.mine_hard_negatives(Dataset.from_list(pairs), ENCODER, files[name], corpus=titles, how=how)
        reports[name] = {"rows": found.written, "likely false": found.likely_false, "dropped": found.dropped}
    cited: dict[str, set[str]] = {}
    for row in pairs:
        cited.setdefault(row["anchor"], set()).add(row["positive"])
    rng, rows = np.random.default_rng(0), []
    for row in pairs:
        drawn = rng.choice([title for title in titles if title not in cited[row["anchor"]]], NEGATIVES, replace=False)
        rows.append({**row, **{f"negative_{n}": str(title) for n, title in enumerate(drawn, 1)}})
    files["random"] = work / "random.jsonl"
    write_jsonl(rows, files["random"])
    return files, reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=3.0)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    pairs, test, _ = claims()
    titles = sorted(set(test.corpus.values()))
    files, reports = variants(pairs, titles, asked.work)
    out = asked.work / "compare"
    found = nearfar.compare(
        "infonce",
        data=Dataset.from_list(pairs),
        variants=files,
        evaluate_on=test,
        seeds=asked.seeds,
        drop_leaks=True,
        keep="none",
        out=out,
        resume=out.exists(),
        say=print,
        epochs=asked.epochs,
        batch_size=32,
        max_length=64,
    )
    result = {
        "encoder": ENCODER,
        "pairs": len(pairs),
        "titles": len(titles),
        "test claims": len(test.queries),
        "seeds": asked.seeds,
        "epochs": asked.epochs,
        "mined": reports,
        "metric": found.metric,
        "ranking": [asdict(each) for each in found.ranking],
        "recommendation": found.recommendation,
        "versions": {name: version(name) for name in ("torch", "transformers", "sentence-transformers")},
        "cores": os.cpu_count(),
    }
    write_text(json.dumps(result, indent=1, default=str) + "\n", RESULT)
    print(json.dumps(result, indent=1, default=str))


if __name__ == "__main__":
    main()
