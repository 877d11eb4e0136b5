"""Prompts: write an entailed or a contradicting sentence, and score the similarity of two sentences.

Each instruction has two examples, in a format that both base and instruction-tuned models continue. The opposite
instruction has the same example sentences, so that tokens that are likely after both prompts cancel out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nearfar.generation.interface import Prompt

_SENTENCES = (
    "A young girl in a yellow coat is feeding ducks by the pond.",
    "Three men are repairing the roof of an old church.",
)


@dataclass(frozen=True)
class Instruction:
    """A task for one sentence.

    Args:
        text: The instruction.
        examples: An answer for each example sentence.
    """

    text: str
    examples: tuple[str, ...]

    def prompt(self, sentence: str) -> str:
        """The instruction, the examples, and the sentence."""
        shots = zip(_SENTENCES, self.examples, strict=True)
        shown = "".join(f"Sentence: {given}\nAnswer: {answer}\n\n" for given, answer in shots)
        return f"Instruction: {self.text}\n\n{shown}Sentence: {_one_line(sentence)}\nAnswer:"


ENTAILMENT = Instruction(
    "Write one short sentence that must be true if the sentence is true.",
    ("A child is giving food to birds outdoors.", "Some people are fixing a building."),
)
CONTRADICTION = Instruction(
    "Write one short sentence that cannot be true if the sentence is true.",
    ("The girl is asleep in her bed.", "Nobody is working on the church today."),
)

_SCORED = (
    ("A young girl is feeding ducks.", "A child gives food to some birds.", "4.2"),
    ("A young girl is feeding ducks.", "The girl is asleep in her bed.", "1.0"),
    ("Three men are repairing a roof.", "Men are fixing the roof.", "4.8"),
    ("Three men are repairing a roof.", "A cat is drinking milk.", "0.0"),
)


def written(instruction: Instruction, against: Instruction, sentence: str) -> Prompt:
    """The prompt for an instruction, with the same sentence and the other instruction as its opposite."""
    return Prompt(instruction.prompt(sentence), against.prompt(sentence))


def scored(first: str, second: str) -> Prompt:
    """The prompt for the similarity of two sentences."""
    task = "Say how similar in meaning the two sentences are, from 0.0 (not at all) to 5.0 (the same)."
    pairs = "".join(f"Sentence 1: {a}\nSentence 2: {b}\nScore: {score}\n\n" for a, b, score in _SCORED)
    asked = f"Sentence 1: {_one_line(first)}\nSentence 2: {_one_line(second)}\nScore:"
    return Prompt(f"Instruction: {task}\n\n{pairs}{asked}")


def parse_score(answer: str) -> float | None:
    """The score in an answer: a number from 0 to 5, with at most one decimal; None for anything else."""
    return float(answer) if re.fullmatch(r"[0-4](\.[0-9])?|5(\.0)?", answer) else None


def _one_line(text: str) -> str:
    return " ".join(text.split())
