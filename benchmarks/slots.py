"""What slots and label names do to the workflows of `nearfar flow`, against annotated ones.

    python benchmarks/slots.py choose [--model FOLDER]
    python benchmarks/slots.py measure [--out FILE]

`choose` compares texts for placeholders, and thresholds of names, on the validation domains of `action_encoder.py`,
with a label vocabulary without these domains. (The published encoder has them in its training; `--model` takes one
that has not.) `measure` reports on domains that neither the training nor these choices saw.

Slots: cluster agreement (NMI, ARI) and number of actions, automatic, with and without slots; on the texts as they
are, and as they would be spoken: digits as words, and a turn that is only a number of at least five digits read out in
pieces of two or three, each piece a turn.

Names: for each cluster, whether its name agrees with the most frequent annotation of its turns, in acts, and in acts
and slots. The baseline is the annotation of the utterance nearest to the cluster's mean, as if its reader understood
it perfectly.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from action_encoder import TEST, VALIDATION, Domain, action_of, held_out, named, rounded, vocabulary
from nearfar.dialogue.clustering import Actions, find_actions
from nearfar.dialogue.slots import texts as slots_module
from nearfar.dialogue.slots.texts import TYPICAL, Slots
from nearfar.dialogue.vectors import vectors_of
from nearfar.dialogue.words.labels import SAFE, Safe, action_means, only_slots, propose, sides_of
from nearfar.models import load
from nearfar.models.action_labels import ActionLabel, ActionLabels
from nearfar.models.loading import find
from nearfar.writing import write_text

SPOKEN = ["oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
#: Texts for placeholders that `choose` compares.
REPLACEMENTS = {
    "typical values": {
        "number": "5",
        "time": "5 pm",
        "date": "march 5th",
        "amount": "$5",
        "email": "a@b.com",
        "link": "www.a.com",
        "code": "a5b5",
        "name": "john",
    },
    "placeholders": {kind: f"<{kind}>" for kind in TYPICAL},
    "one value": dict.fromkeys(TYPICAL, "5"),
    "a number or a name": {kind: "john" if kind == "name" else "5" for kind in TYPICAL},
    "a number, an address or a name": dict.fromkeys(TYPICAL, "5")
    | {"email": "a@b.com", "link": "www.a.com", "name": "john"},
}


def spoken(dialogues: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Dialogues with digits in words, and long numbers read out in several turns."""
    found = []
    for dialogue in dialogues:
        turns = []
        for turn in dialogue["turns"]:
            digits = re.sub(r"\D", "", turn["text"])
            if len(digits) >= 5 and not re.search(r"[^\W\d_]", turn["text"]):
                pieces = re.findall(r"\d{2,3}(?!\d$)|\d+", digits)
                turns += [turn | {"text": " ".join(SPOKEN[int(d)] for d in piece), "piece": True} for piece in pieces]
            else:
                text = re.sub(r"\d", lambda d: f" {SPOKEN[int(d[0])]} ", turn["text"])
                turns.append(turn | {"text": " ".join(text.split())})
        found.append(dialogue | {"turns": turns})
    return found


def encoded(model: Any, of: Domain, with_slots: bool) -> tuple[np.ndarray, Slots | None]:
    if not with_slots:
        return vectors_of(model, of.log.texts), None
    slots = Slots.of(of.log.texts, of.log.speakers)
    texts, which = slots.to_encode()
    return vectors_of(model, texts)[which], slots


def clustered(of: Domain, vectors: np.ndarray, pieces: np.ndarray) -> tuple[Actions, dict[str, float]]:
    actions = find_actions(of.log, vectors)
    turn = actions.turn.astype(np.int64)
    figures = {
        key: value for key, value in of.figures(turn).items() if key in ("actions", "nmi", "ari", "one_to_one_f1")
    }
    if pieces.any():
        figures["actions of pieces of numbers"] = len(set(turn[pieces].tolist()))
    return actions, figures


def naming(
    of: Domain, annotated: list[ActionLabel], actions: Actions, vectors: np.ndarray, slots: Slots | None,
    labels: ActionLabels, safe: Safe = SAFE,
) -> dict[str, float]:  # fmt: skip
    """Shares of the clusters."""
    means = action_means(of.log, actions, vectors)
    found = propose(means, actions.speaker, sides_of(of.log, vectors, labels), labels, safe)
    counts = Counter[str]()
    for action, proposal in enumerate(found):
        turns = np.flatnonzero(actions.turn == action)
        wanted = Counter((annotated[turn].acts, annotated[turn].slots) for turn in turns).most_common(1)[0][0]
        near = annotated[turns[int(actions.closeness[turns].argmax())]]
        counts["nearest utterance, acts"] += near.acts == wanted[0]
        counts["nearest utterance, acts and slots"] += (near.acts, near.slots) == wanted
        if slots is not None and only_slots(of.log, actions, action, slots):
            counts["named by slots"] += 1
            counts["named by slots, acts agree"] += wanted[0] == ("inform",)
        elif proposal is not None:
            counts["named by labels"] += 1
            counts["named by labels, acts agree"] += proposal.label.acts == wanted[0]
            counts["named with slots"] += proposal.slots
            counts["named with slots, acts and slots agree"] += proposal.slots and (
                (proposal.label.acts, proposal.label.slots) == wanted
            )
    return {"clusters": len(actions), **counts}


def domains_of(names: dict[str, tuple[str, ...]], split: str) -> dict[str, dict[str, Any]]:
    """Each domain as written and as spoken, with the annotation of each turn."""
    found: dict[str, dict[str, Any]] = {}
    for name, of in held_out(names, split).items():
        for form, dialogues in (("written", of.dialogues), ("spoken", spoken(of.dialogues))):
            turns = [turn for dialogue in dialogues for turn in dialogue["turns"]]
            found.setdefault(name, {})[form] = (
                of if form == "written" else Domain(dialogues),
                [action_of(named(turn)) for turn in turns],
                np.asarray([bool(turn.get("piece")) for turn in turns]),
            )
    return found


def choose(name: str) -> None:
    """Print the figures of each text for placeholders, and of each triple of thresholds."""
    model = load(name, device="cpu", max_length=64)
    without = tuple(name for part in (VALIDATION, TEST) for names in part.values() for name in names)
    domains = domains_of(VALIDATION, "dev")
    best: dict[str, Any] = {}
    for arm, texts in {"no slots": None, **REPLACEMENTS}.items():
        if texts is not None:
            slots_module.TYPICAL.update(texts)
        for form in ("written", "spoken"):
            rows = []
            for domain, forms in domains.items():
                of, annotated, pieces = forms[form]
                vectors, slots = encoded(model, of, texts is not None)
                actions, figures = clustered(of, vectors, pieces)
                rows.append(figures)
                if form == "written" and arm == "one value":
                    best[domain] = of, annotated, actions, vectors, slots
            mean = {key: round(float(np.mean([row[key] for row in rows if key in row])), 4) for key in rows[-1]}
            print(f"{arm:16} {form:8} {mean}", flush=True)
    labels = vocabulary(model, without)
    for temperature in (0.05, 0.03, 0.02):
        for near in (0.7, 0.8, 0.9):
            for acts_share, slots_share in ((0.3, 0.5), (0.4, 0.5), (0.4, 0.6), (0.5, 0.6)):
                total = Counter[str]()
                for each in best.values():
                    total.update(naming(*each, labels, Safe(near, acts_share, slots_share, temperature)))
                print(temperature, near, acts_share, slots_share, dict(total), flush=True)


def measure(out: Path) -> None:
    model, labels = load("actions", device="cpu", max_length=64), ActionLabels.load(find("actions"))
    assert labels is not None
    result: dict[str, Any] = {
        "what": "nearfar flow with and without slots, and names of actions, on domains that no training or choice saw",
        "metrics": "automatic number of actions; nmi, ari: mean of the speakers; names: clusters whose name, or "
        "nearest utterance by its annotation, agrees with the most frequent annotation of their turns; a label whose "
        "phrase is only to give information counts, but flow shows an utterance instead",
        "typical": TYPICAL,
        "thresholds": asdict(SAFE),
        "command": "python benchmarks/slots.py measure",
        "slots": {},
        "names": {},
    }
    for name, forms in domains_of(TEST, "test").items():
        for form, (of, annotated, pieces) in forms.items():
            for arm in ("without slots", "with slots"):
                vectors, slots = encoded(model, of, arm == "with slots")
                actions, figures = clustered(of, vectors, pieces)
                result["slots"].setdefault(f"{form}, {arm}", {})[name] = figures
                if form == "written" and slots is not None:
                    result["names"][name] = naming(of, annotated, actions, vectors, slots, labels)
                print(name, form, arm, rounded(figures), flush=True)
    for domains in result["slots"].values():
        rows = list(domains.values())
        domains["mean"] = {
            key: float(np.mean([row[key] for row in rows if key in row]))
            for key in dict.fromkeys(k for r in rows for k in r)
        }
    total = Counter[str]()
    for of in result["names"].values():
        total.update(of)
    result["names"]["sum"] = dict(total)
    for key in ("slots", "names"):
        result[key] = rounded(result[key])
    print({arm: of["mean"] for arm, of in result["slots"].items()}, result["names"]["sum"])
    write_text(json.dumps(result, indent=1) + "\n", out)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("choose", "measure"))
    parser.add_argument("--model", default="actions", help="encoder of choose")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "slots.json")
    args = parser.parse_args()
    if args.what == "choose":
        choose(args.model)
    else:
        measure(args.out)


if __name__ == "__main__":
    main()
