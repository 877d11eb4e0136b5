"""Questions and answers as tokens, in the same format for training, evaluation and generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nearfar.models.chat import Prompt, has_chat_template

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["IGNORED", "answer_rows", "question_prompt"]

#: The label of a token that is not predicted.
IGNORED = -100


def question_prompt(tokenizer: Any, question: str) -> Prompt:
    """A question as a user's message if the tokenizer has a chat template, otherwise as `Q: question`, `A:`."""
    return Prompt(question, chat=True) if has_chat_template(tokenizer) else Prompt(f"Q: {question}\nA:")


def answer_rows(rows: Dataset, tokenizer: Any, max_length: int) -> Dataset:
    """Rows with which a language model learns to answer questions.

    Args:
        rows: Columns `anchor` (questions) and `positive` (answers).
        tokenizer: The tokenizer of the model.
        max_length: Maximum number of tokens. A longer question loses tokens at its beginning, an answer that is longer
            alone at its end.

    Returns:
        `input_ids`, the question, the answer and the end-of-text token; and `labels`, which are -100 for the question.
    """

    def tokens(row: dict[str, Any]) -> dict[str, list[int]]:
        prompt = question_prompt(tokenizer, row["anchor"])
        answer = prompt.answer(tokenizer, row["positive"], end=True)[: max_length - 1]
        question = prompt.tokens(tokenizer)[-(max_length - len(answer)) :]
        return {"input_ids": question + answer, "labels": [IGNORED] * len(question) + answer}

    return rows.map(tokens, remove_columns=rows.column_names, load_from_cache_file=False).with_format("torch")
