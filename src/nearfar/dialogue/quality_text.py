"""The quality of a workflow in words, for the page and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.dialogue.quality.held_out import LEAST

if TYPE_CHECKING:
    from nearfar.dialogue.quality.held_out import HeldOut
    from nearfar.dialogue.result import Flow
    from nearfar.evaluation.intervals import Interval

_EMPTY = "nothing covered, as no graph without them is above the thresholds"
ABOUT = (
    "Explained: all dialogues, by the graph after pruning. A step is from one turn to the next, or from the start or "
    "to the end. Held out: clusters, steps and graph are made again without these dialogues, with as many actions; "
    "only the encoder and the number of actions have seen them. Perplexities of actions cannot be compared between "
    "workflows with different numbers of actions. The gain in nats per step and word perplexity can, for the "
    "same log and seed. In brackets: 95% intervals over dialogues."
)


def quality_line(flow: Flow) -> str:
    """The quality in one or two sentences."""
    of, held_out = flow.explained(), flow.held_out
    line = f"The graph explains {_percent(of.steps)} of the steps and {_percent(of.dialogues)} of the whole dialogues"
    if held_out is None:
        return f"{line}."
    covered = f"{_share(held_out.steps_covered)} of the steps" if held_out.edges else _EMPTY
    return (
        f"{line}. On {held_out.dialogues:,} held-out dialogues: {covered}; "
        f"perplexity of the next action: {_number(held_out.perplexity)}, without the action before "
        f"{held_out.perplexity_unigram.mean:.1f}, uniform {held_out.perplexity_uniform}."
    )


def quality_rows(flow: Flow) -> list[tuple[str, str]]:
    """The figures as (name, value)."""
    of = flow.explained()
    rows = [
        ("Steps explained", _percent(of.steps)),
        ("Dialogues explained completely", _percent(of.dialogues)),
        ("Steps from an action to itself, never drawn", _percent(of.repeats)),
    ]
    if flow.held_out is None:
        why = f"not measured: requires {LEAST} dialogues, and each speaker in those that are not held out"
        return [*rows, ("Held out", why)]
    return rows + _held_out_rows(flow.held_out)


def _held_out_rows(of: HeldOut) -> list[tuple[str, str]]:
    rows = [
        ("Held-out dialogues", f"{of.dialogues:,}; the others: {of.fitted:,}"),
        ("Held-out steps covered", _share(of.steps_covered) if of.edges else _EMPTY),
        ("Held-out dialogues covered completely", _share(of.dialogues_covered)),
        ("Held-out steps seen in the others", _share(of.steps_seen)),
        ("Perplexity of the next action", _number(of.perplexity)),
        ("Perplexity without the action before", _number(of.perplexity_unigram)),
        ("Perplexity, uniform", f"{of.perplexity_uniform}"),
        ("Gain by the action before, nats per step", _number(of.gain, 2)),
    ]
    if of.gain.low <= 0 <= of.gain.high:
        rows[-1] = (rows[-1][0], f"{rows[-1][1]}: no significant difference")
    for name, words in (
        ("Word perplexity, given the action before", of.word_perplexity),
        ("Word perplexity, given the speaker", of.word_perplexity_speakers),
    ):
        if words is not None:
            rows.append((name, _number(words, 0)))
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _share(of: Interval) -> str:
    return f"{100 * of.mean:.1f}% [{100 * of.low:.1f}, {100 * of.high:.1f}]"


def _number(of: Interval, digits: int = 1) -> str:
    return f"{of.mean:.{digits}f} [{of.low:.{digits}f}, {of.high:.{digits}f}]"
