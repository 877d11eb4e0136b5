"""Which recipe on which data: `nearfar compare` with all recipes that fit, on five kinds of rows.

    NEARFAR_DATA=FOLDER python benchmarks/which.py --work FOLDER [--seeds 5] [--kinds pairs labelled ...] [--until S]

MiniLM is trained on each kind of rows with every recipe that can read them, at the recipes' default settings, but for
the length (64 tokens), three epochs of at most 1,000 rows, and what is faster on a CPU: bfloat16, and small forward
passes with little padding. After one epoch, no recipe on pairs was significantly better than MiniLM (two seeds). In
trials of five epochs with another seed, on held-out training claims and on other labels of dialogues, `infonce` was
best after 3.8 epochs and `dialog2flow` after 2.7. With 20 labels of Banking77, MiniLM is right for 93 of 100 questions,
and nothing could show; with all of them, on held-out training questions, for 73.

- pairs: claims of SciFact and titles of the abstracts that they cite; nDCG@10 of the test claims over all titles
- labelled: questions of Banking77 with their intents, 77 labels; on its test questions
- sentences: sentences of Wikipedia; on the test pairs of STS-B
- scored: pairs of STS-B with their similarity; on its test pairs
- dialogues: turns of Schema-Guided Dialogue with acts and slots; on turns of Dialog2Flow's evaluation set, 200 labels

The folder can be used again to resume, also with more seeds; kinds that are done are not compared again. `--until`
starts no further kind after so many seconds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset

import nearfar
from _scifact import claims
from _which_page import which_table
from claims._data import located, sts, table, wiki_sentences
from nearfar.data.retrieval import Retrieval
from nearfar.writing import write_text

RESULT = Path(__file__).parent / "results" / "which.json"
ENCODER, ROWS, SEED = "minilm", 1_000, 0
OPTIONS: dict[str, Any] = {
    "max_length": 64,
    "epochs": 3.0,
    "precision": "bfloat16",
    "mini_batch_num_tokens": 256,
}
#: Rows that labels are predicted of, at most; labels of turns of dialogues, and the fewest texts of each.
EVALUATED, ACTIONS, TEXTS_OF_ACTION = 1_000, 200, 10

Rows = tuple[Dataset, Dataset | Retrieval]


def some(rows: list[dict[str, Any]], count: int) -> Dataset:
    """At most `count` of the rows, drawn with a seed."""
    return Dataset.from_list(random.Random(SEED).sample(rows, min(count, len(rows))))


def pairs() -> Rows:
    found, test, _ = claims()
    return some(found, ROWS), test


def labelled() -> Rows:
    parts = {
        part: [{"text": row["text"], "label": row["intent"]} for row in table("banking77", f"banking77-{part}.tsv.gz")]
        for part in ("train", "test")
    }
    return some(parts["train"], ROWS), some(parts["test"], EVALUATED)


def sentences() -> Rows:
    return wiki_sentences().shuffle(seed=SEED).select(range(ROWS)), sts("test")


def scored() -> Rows:
    return sts("train").shuffle(seed=SEED).select(range(ROWS)), sts("test")


def dialogues() -> Rows:
    turns: list[dict[str, Any]] = []
    with gzip.open(located("sgd", "sgd-dev.jsonl.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            dialogue = json.loads(line)
            turns += [
                {"dialogue_id": dialogue["dialogue_id"], **{name: turn[name] for name in ("speaker", "text", "acts")}}
                | {"slots": turn["slots"]}
                for turn in dialogue["turns"]
            ]
            if len(turns) >= ROWS:
                break
    asked = [
        {"text": row["text"], "label": row["label"]} for row in table("d2f_unified_eval", "d2f-unified-eval.tsv.gz")
    ]
    # A classifier needs several texts of each label; the most common ones have 15.
    texts = Counter(label for _, label in {(row["text"], row["label"]) for row in asked})
    common = sorted(label for label, count in texts.items() if count >= TEXTS_OF_ACTION)
    kept = set(random.Random(SEED).sample(common, ACTIONS))
    return Dataset.from_list(turns), Dataset.from_list([row for row in asked if row["label"] in kept])


KINDS: dict[str, Callable[[], Rows]] = {made.__name__: made for made in (pairs, labelled, sentences, scored, dialogues)}


def compared(kind: str, seeds: int, work: Path) -> dict[str, Any]:
    """The ranking on one kind of rows."""
    rows, test = KINDS[kind]()
    out = work / kind
    found = nearfar.compare(
        data=rows,
        evaluate_on=test,
        model=ENCODER,
        seeds=seeds,
        drop_leaks=True,
        keep="none",
        baseline="base",
        out=out,
        resume=(out / "compare.yaml").exists(),
        say=lambda text: print(f"{kind}: {text}", flush=True),
        **OPTIONS,
    )
    return {
        "rows": len(rows),
        "metric": found.metric,
        "seeds": seeds,
        # Kinds are compared side by side, and runs are stopped and resumed, so that their times mean little.
        "ranking": [{key: value for key, value in each.as_dict().items() if key != "cost"} for each in found.ranking],
        "failures": [f"{each.recipe}, seed {each.seed}: {each.reason}" for each in found.failures],
        "versions": {name: version(name) for name in ("torch", "transformers", "sentence-transformers")},
        "cores": os.cpu_count(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--until", type=float, default=float("inf"), metavar="SECONDS")
    asked = parser.parse_args()
    began = time.monotonic()
    asked.work.mkdir(parents=True, exist_ok=True)
    results = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {}
    for kind in asked.kinds:
        done = results.get(kind, {}).get("seeds", 0)
        if done >= asked.seeds or time.monotonic() - began > asked.until:
            continue
        results[kind] = compared(kind, asked.seeds, asked.work)
        write_text(json.dumps(results, indent=1) + "\n", RESULT)
    print(which_table(results))


if __name__ == "__main__":
    main()
