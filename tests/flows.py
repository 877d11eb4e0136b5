"""Workflows without a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nearfar.dialogue.clustering import Actions
from nearfar.dialogue.exports import write
from nearfar.dialogue.graph import Rules
from nearfar.dialogue.log import Log
from nearfar.dialogue.result import Flow
from nearfar.dialogue.words.naming import describe

HOSTILE = (
    '</script><script>window.ran = 1</script><img src=x onerror="window.ran = 2"> & <!-- "]; n9 --> \\N \\" `#quot;` '
    "\x00\x08\u2028 $& %s {{ 7 * 7 }} \u202eright to left"
)
ASKS = ["Which city?", "For what date?", "How many people?", "Which time?"]
ANSWERS = ["In Paris please.", "Next Monday.", "We are four.", "At eight o'clock."]


def flow_of(dialogues: Sequence[tuple[str, Sequence[tuple[str, str, str]]]], rules: Rules = Rules()) -> Flow:  # noqa: B008
    """A flow of dialogues whose turns are (speaker, action, text)."""
    log = Log.of((name, [(speaker, text) for speaker, _, text in turns]) for name, turns in dialogues)
    keys = [(speaker, action) for _, turns in dialogues for speaker, action, _ in turns]
    order = sorted(set(keys), key=lambda key: (log.speakers.index(key[0]), keys.index(key)))
    number = {key: index for index, key in enumerate(order)}
    turn = np.asarray([number[key] for key in keys], np.int32)
    # The first turn with a text is the closest one to the mean of its action.
    closeness = np.linspace(1, 0.5, len(turn), dtype=np.float32)
    speaker = np.asarray([log.speakers.index(key[0]) for key in order], np.int32)
    actions = Actions(speaker, turn, closeness, [])
    facts = {"source": "calls.jsonl", "model": "none", "namer": None, "actions": "given", "sample": None, "seed": 0}
    return Flow(log, actions, describe(log, actions), rules, facts, write)


def booking_flow(count: int, seed: int = 0, rules: Rules = Rules(), variants: int = 3) -> Flow:  # noqa: B008
    """Dialogues that ask four questions in a similar order, some of them with a detour."""
    generator = np.random.default_rng(seed)
    dialogues = []
    for number in range(count):
        turns = [("user", "greet", f"Hello number {generator.integers(variants)}, I need a table.")]
        order = list(range(4))
        if generator.random() < 0.3:
            order[1], order[2] = order[2], order[1]
        for step in order:
            turns.append(("agent", f"ask {step}", f"{ASKS[step]} {generator.integers(variants)}"))
            if generator.random() < 0.2:
                turns.append(("user", "unclear", f"What do you mean? {generator.integers(variants)}"))
                turns.append(("agent", f"ask {step}", f"{ASKS[step]} {generator.integers(variants)}"))
            turns.append(("user", f"tell {step}", f"{ANSWERS[step]} {generator.integers(variants)}"))
        turns.append(("agent", "done", f"It is booked. {generator.integers(variants)}"))
        if generator.random() < 0.7:
            turns.append(("user", "thank", f"Thanks. {generator.integers(variants)}"))
            turns.append(("agent", "bye", f"Good bye. {generator.integers(variants)}"))
        dialogues.append((f"call {number}", turns))
    return flow_of(dialogues, rules)


def hostile_flow() -> Flow:
    """All texts, names and speakers are hostile."""
    turns = [
        (f"{HOSTILE} a", "x", f"{HOSTILE} one"),
        ("__proto__", "y", f"{HOSTILE} two"),
        ("__proto__", "z", "constructor"),
    ]
    return flow_of([(HOSTILE, turns), ("toString", turns[:2]), ("hasOwnProperty", [turns[0], turns[2]])])
