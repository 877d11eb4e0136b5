"""A support desk's search: from a file of questions and answers to a search for answers, with an evaluation.

    python examples/support_search.py
    python examples/support_search.py --data faq.csv --question title --answer body --out runs/faq

Trains on some wordings of each question, evaluates on others, writes an index, and answers three questions. The default
file (data/support.csv) was written for this example: 24 answers with 4 questions each.
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
    parser.add_argument("--data", default=str(HERE / "data" / "support.csv"), help="csv, tsv, jsonl or parquet file")
    parser.add_argument("--question", default="question", help="column of questions")
    parser.add_argument("--answer", default="answer", help="column of answers")
    parser.add_argument("--out", type=Path, default=Path("runs/support"))
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--ask", nargs="*", default=ASKED)
    args = parser.parse_args(arguments)

    # 1. Rows. Your columns are mapped to the names anchor (the question) and positive (what should be found). A
    # malformed line ends the program here, with its number.
    rows = load(args.data, columns={"anchor": args.question, "positive": args.answer})

    # 2. A split. The last question of each answer is held out, so the evaluation is about new wordings of known
    # questions, which is what a support desk gets all day. To evaluate on answers that the model has never seen, hold
    # out whole answers instead: the scores will be lower.
    of_answer: dict[str, list[int]] = defaultdict(list)
    for number, answer in enumerate(rows["positive"]):
        of_answer[answer].append(number)
    held_out = [numbers[-1] for numbers in of_answer.values() if len(numbers) > 1]
    if len(held_out) < 10:
        parser.error("expected at least 10 answers with two or more questions for the evaluation")
    training = rows.select([number for number in range(len(rows)) if number not in set(held_out)])

    # The held-out questions search all answers, as in production. With pairs, each would only search the answers of the
    # other held-out questions.
    ids = {answer: f"answer-{number}" for number, answer in enumerate(of_answer, 1)}
    test = Retrieval(
        corpus={name: answer for answer, name in ids.items()},
        queries={str(number): rows[number]["anchor"] for number in held_out},
        relevant={str(number): {ids[rows[number]["positive"]]: 1} for number in held_out},
    )

    # 3. Train, and evaluate before and after on the same questions. With few rows use few steps: the model is already
    # good, and it memorizes 72 rows if it sees them often. With `symmetric`, half of the loss is for answers that look
    # for their questions, which helps if questions are short and answers long.
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
        # The interval decides, not the two scores: with few questions, a gain is easily due to chance.
        sure = "better" if run.change.low > 0 else "worse" if run.change.high < 0 else "no significant difference"
        low, high = run.change.low, run.change.high
        print(f"difference {run.change.mean:+.3f}, 95% interval {low:+.3f} to {high:+.3f}: {sure}")

    # 4. Keep the better model. Without a significant improvement, keep the base model.
    model = str(run.folder / "model") if run.change is not None and run.change.low > 0 else "minilm"
    index = build_index(model, list(of_answer), args.out / "index", ids=list(ids.values()))
    print(f"searching with {model}")

    # 5. Search. In a server, open the index once with nearfar.search.open_index(folder) and keep it open.
    for question in args.ask:
        print(f"\n{question}")
        for hit in index.search(question, 2):
            print(f"  {hit.score:.3f}  {hit.text}")
    print(f"\nTraining report: {run.folder / 'report.html'}")


def test_size(test: Retrieval) -> str:
    """In words."""
    return f"{len(test.queries)} held-out questions and {len(test.corpus)} answers"


if __name__ == "__main__":
    main()
