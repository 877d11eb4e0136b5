"""A support desk's search: from a file of questions and answers to a search over the answers, measured on the way.

    python examples/support_search.py
    python examples/support_search.py --data faq.csv --question title --answer body --out runs/faq

Trains on some phrasings of each question, measures on others, writes an index, and answers three questions. The file
that is used by default (data/support.csv) was written for this example: 24 answers with 4 questions each.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import nearfar
from nearfar.data import Retrieval, load
from nearfar.search import build_index

HERE = Path(__file__).parent
ASKED = ["why was my invoice higher this time", "nothing loads since this morning", "we are moving house"]


def main(arguments: list[str] | None = None) -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(HERE / "data" / "support.csv"), help="csv, tsv, jsonl or parquet")
    parser.add_argument("--question", default="question", help="its column of questions")
    parser.add_argument("--answer", default="answer", help="its column of answers")
    parser.add_argument("--out", type=Path, default=Path("runs/support"))
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--ask", nargs="*", default=ASKED)
    args = parser.parse_args(arguments)

    # 1. Rows. Whatever your columns are called, the library calls them anchor (what is asked) and positive (what should
    # be found). A broken line ends the program here, with its number.
    rows = load(args.data, columns={"anchor": args.question, "positive": args.answer})

    # 2. A split. The last question of each answer is held out, so this measures new phrasings of what the desk knows
    # already, which is what a support desk sees all day. To measure answers that the model has never seen, hold out
    # whole answers instead: the figures will be lower.
    of_answer: dict[str, list[int]] = defaultdict(list)
    for number, answer in enumerate(rows["positive"]):
        of_answer[answer].append(number)
    held_out = [numbers[-1] for numbers in of_answer.values() if len(numbers) > 1]
    if len(held_out) < 10:
        parser.error("fewer than 10 answers have two questions or more: too little to measure on")
    training = rows.select([number for number in range(len(rows)) if number not in set(held_out)])

    # The held-out questions search among all answers, as they will in service. Pairs alone would let each search only
    # among the answers of the others.
    ids = {answer: f"answer-{number}" for number, answer in enumerate(of_answer, 1)}
    test = Retrieval(
        corpus={name: answer for answer, name in ids.items()},
        queries={str(number): rows[number]["anchor"] for number in held_out},
        relevant={str(number): {ids[rows[number]["positive"]]: 1} for number in held_out},
    )

    # 3. Train, and measure before and after on the same questions. With few rows keep the steps small: the model is
    # good already, and the more often it sees 72 rows the more it learns them by heart. `symmetric` halves the loss
    # with answers that look for their question, which helps where questions are short and answers long.
    run = nearfar.train(
        "infonce",
        training,
        evaluation=test,
        out=args.out / "run",
        epochs=args.epochs,
        batch_size=24,
        learning_rate=3e-5,
        max_length=64,
        symmetric=True,
        save_steps=50,
    )
    assert run.before is not None
    assert run.after is not None
    print(f"\nnDCG@10 on {test_size(test)}: {run.before.score:.3f} before, {run.after.score:.3f} after training")
    if run.change is not None:
        # The interval decides, not the two figures: with few questions a gain is easily luck.
        sure = "a gain" if run.change.low > 0 else "a loss" if run.change.high < 0 else "no gain shown"
        low, high = run.change.low, run.change.high
        print(f"difference {run.change.mean:+.3f}, 95% interval {low:+.3f} to {high:+.3f}: {sure}")

    # 4. Keep the better one. A model that was not shown to be better is not worth a file of its own.
    model = str(run.folder / "model") if run.change is not None and run.change.low > 0 else "minilm"
    index = build_index(model, list(of_answer), args.out / "index", ids=list(ids.values()))
    print(f"searching with {model}")

    # 5. Search. In a server, open it once with nearfar.search.open_index(folder) and keep it.
    for question in args.ask:
        print(f"\n{question}")
        for hit in index.search(question, 2):
            print(f"  {hit.score:.3f}  {hit.text}")
    print(f"\nWhat happened in training: {run.folder / 'report.html'}")


def test_size(test: Retrieval) -> str:
    """In words."""
    return f"{len(test.queries)} held-out questions and {len(test.corpus)} answers"


if __name__ == "__main__":
    main()
