"""Prompts for questions: what somebody may ask a search for a passage, in several forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nearfar.generation.interface import Prompt

__all__ = ["KINDS", "QuestionKind", "cleaned", "own_kind"]

# Two languages, so that the model sees that the answer has the language of the passage.
_PASSAGES = (
    "Sea otters wrap themselves in kelp before they sleep, so that the current does not carry them away from their "
    "group.",
    "El puente se cerró en 2011 porque la sal del mar había dañado los cables; ahora los coches usan el túnel.",
)
_LANGUAGE = "Write one line, in the language of the passage, and do not copy its words."


@dataclass(frozen=True)
class QuestionKind:
    """A form of question.

    Args:
        name: Its name in options and rows.
        instruction: What to write for a passage.
        examples: What to write for each example passage; empty: the prompt has no examples.
    """

    name: str
    instruction: str
    examples: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The texts of the prompt's examples, which small models repeat."""
        return " ".join((*_PASSAGES, *self.examples)) if self.examples else ""

    def prompt(self, passage: str, sample: int = 0) -> Prompt:
        """The prompt for a passage; `sample` numbers several answers to the same prompt."""
        shown = "".join(
            f"Passage: {given}\nAnswer: {answer}\n\n" for given, answer in zip(_PASSAGES, self.examples, strict=False)
        )
        task = f"Instruction: {self.instruction} {_LANGUAGE}"
        return Prompt(f"{task}\n\n{shown}Passage: {' '.join(passage.split())}\nAnswer:", sample=sample)


#: The forms by name.
KINDS: Mapping[str, QuestionKind] = {
    kind.name: kind
    for kind in (
        QuestionKind(
            "question",
            "Write a question that the passage answers, by somebody who does not know the passage.",
            ("How do some mammals avoid drifting apart at sea?", "¿Por qué ya no se puede cruzar la bahía por arriba?"),
        ),
        QuestionKind(
            "search",
            "Write a search query of three to six words for which the passage is the best result.",
            ("otters sleeping without drifting apart", "motivo cierre carretera sobre la bahía"),
        ),
        QuestionKind(
            "claim",
            "Write a short statement that is true because of the passage.",
            ("Otters use plants as an anchor at night.", "El agua marina puede dejar inutilizable una construcción."),
        ),
        QuestionKind(
            "topic",
            "Describe in one sentence what somebody who needs the passage wants to know.",
            (
                "Information about how animals that live in the ocean rest safely.",
                "Datos sobre los efectos de la corrosión en las vías de transporte.",
            ),
        ),
    )
}

_MARK = re.compile(r"(?:[-*•]|\(?[0-9]{1,2}[.)])\s+")
_LABEL = re.compile(r"(?:question|(?:search )?query|answer|statement|topic|q|a)\s*[0-9]{0,2}\s*:\s*", re.IGNORECASE)
_QUOTES = ('""', "''", "“”", "«»", "「」", "„“", "``", "**")


def own_kind(instruction: str, number: int) -> QuestionKind:
    """A form of the user's own, without examples; its name is `own` and a number."""
    return QuestionKind(f"own {number}", instruction.strip())


def cleaned(answer: str) -> str:
    """An answer without what models put around it: a list mark, a label such as "Question:", quotation marks."""
    text = answer.strip()
    for pattern in (_MARK, _LABEL):
        if match := pattern.match(text):
            text = text[match.end() :].strip()
    while len(text) > 1 and f"{text[0]}{text[-1]}" in _QUOTES:
        text = text[1:-1].strip()
    return text
