"""A workflow from dialogue logs: what agents and customers do, in which order, and where calls deviate.

    python examples/dialogue_workflow.py
    python examples/dialogue_workflow.py --data calls/ --actions 12 --out runs/calls

Writes the workflow as an interactive page (flow.html), as JSON, and as Mermaid for a wiki. The default dialogues
(data/calls.jsonl) are 80 telephone calls to a bicycle workshop, written for this example.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from pathlib import Path

import numpy as np

import nearfar
from nearfar.dialogue import Rules

HERE = Path(__file__).parent


def main(arguments: list[str] | None = None) -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(HERE / "data" / "calls.jsonl"), help="file or folder of dialogues")
    parser.add_argument("--model", default="minilm", help="encoder; one trained with dialog2flow groups by actions")
    parser.add_argument("--actions", default="10", help="number of actions per speaker, or auto")
    parser.add_argument("--out", type=Path, default=Path("runs/workflow"))
    args = parser.parse_args(arguments)

    # 1. The workflow. Utterances with the same meaning become one action, steps from action to action are counted, and
    # rare ones are removed. Try several numbers of actions and look at the page: with too few, one box contains
    # different things; with too many, each wording has its own box. "auto" chooses the number with which actions best
    # predict the next one; for short and regular logs like these, it chooses too many.
    number = args.actions if args.actions == "auto" else int(args.actions)
    flow = nearfar.flow(args.data, model=args.model, actions=number, rules=Rules(edges=0.1, nodes=0.02))
    print(f"{len(flow.log):,} dialogues, {flow.log.turns:,} turns, {len(flow.actions):,} actions\n")

    # 2. The usual path of a call. Node numbers are those of the graph: 0 is the start, 1 the end.
    def name(node: int) -> str:
        if node < 2:
            return ("start", "end")[node]
        return f"{flow.speaker_of(node)}: {flow.described[node - 2].name}"

    graph = flow.graph()
    usual = flow.happy_path(graph)
    print("The usual path")
    for node in usual:
        print(f"  {name(node)}")

    # 3. Where calls deviate from it. `counts` has every step, including pruned ones, so rare steps are visible, too.
    # The numbers do not distinguish a step back ("another day?") from an extra question: read the examples of an
    # action.
    following = dict(itertools.pairwise(usual))
    total: Counter[int] = Counter()
    for (source, _), count in flow.counts().items():
        total[source] += count
    leaving = [
        (count, count / total[source], source, target)
        for (source, target), count in flow.counts().items()
        if source in following and target not in (source, following[source])
    ]
    print("\nWhere calls deviate from it")
    for count, share, source, target in sorted(leaving, reverse=True)[:5]:
        print(f"  {count:4} times, {share:4.0%} of the steps from there: {name(source)} -> {name(target)}")

    # 4. What takes time: the length of calls with an action, compared with calls without it. This is a difference, not
    # a cause: long calls have room for more actions.
    turns = np.diff(flow.log.starts)
    longer = []
    for node in range(2, 2 + len(flow.actions)):
        takes = np.array([node in flow.nodes[flow.log.dialogue(i)] for i in range(len(flow.log))])
        if 0.05 < takes.mean() < 0.95:
            longer.append((turns[takes].mean() - turns[~takes].mean(), takes.mean(), node))
    print("\nAdditional turns of calls with an action")
    for difference, share, node in sorted(longer, reverse=True)[:6]:
        print(f"  {difference:+5.1f}  {name(node)} ({share:.0%} of calls)")

    # 5. Formats. The page is one file that works without a network; the JSON contains everything for your own programs.
    args.out.mkdir(parents=True, exist_ok=True)
    for ending in ("html", "json", "mmd"):
        print(f"\nwritten: {flow.write(args.out / f'flow.{ending}')}", end="")
    print()


if __name__ == "__main__":
    main()
