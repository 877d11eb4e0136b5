"""Prompts with and without a chat template, to which an instruction can be added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Prompt", "has_chat_template"]


def has_chat_template(tokenizer: Any) -> bool:
    """Whether the tokenizer formats chats."""
    return bool(getattr(tokenizer, "chat_template", None))


@dataclass(frozen=True)
class Prompt:
    """What stands before an answer.

    Args:
        text: The text: what the user says in a chat, or the whole prompt.
        chat: Whether it is formatted by the tokenizer's chat template, with the answer as the next message.
        given: Its tokens, if it exists only as tokens.
    """

    text: str = ""
    chat: bool = False
    given: tuple[int, ...] | None = None

    @classmethod
    def of_tokens(cls, tokens: list[int]) -> Prompt:
        """A prompt that was tokenized before."""
        return cls(given=tuple(tokens))

    def tokens(self, tokenizer: Any, instruction: str = "") -> list[int]:
        """The tokens, after an instruction if there is one.

        In a chat, the instruction is the system message, or stands before the user's text if the template has no such
        message. Otherwise it is text before the prompt, after the beginning-of-text token.
        """
        if self.chat:
            return _ids(tokenizer, self._chat(tokenizer, instruction), special=False)
        own = list(self.given) if self.given is not None else _ids(tokenizer, self.text)
        if not instruction:
            return own
        first = 1 if own and tokenizer.bos_token_id is not None and own[0] == tokenizer.bos_token_id else 0
        return own[:first] + _ids(tokenizer, instruction + "\n\n", special=False) + own[first:]

    def answer(self, tokenizer: Any, text: str, *, end: bool = False) -> list[int]:
        """The tokens of an answer to this prompt.

        Outside of a chat, an answer begins with a space, unless it begins with white space or the prompt ends with it.

        Args:
            tokenizer: The tokenizer.
            text: The answer.
            end: Add the end-of-text token, if there is one.
        """
        prompt = self._chat(tokenizer) if self.chat else self.text
        answer = text if prompt[-1:].isspace() or text[:1].isspace() else f" {text}"
        # Together, because some tokenizers add a space to the beginning of a text; if that changes the last token of
        # the prompt, apart.
        before, both = (_ids(tokenizer, each, special=not self.chat) for each in (prompt, prompt + answer))
        tokens = both[len(before) :] if both[: len(before)] == before else _ids(tokenizer, answer, special=False)
        return [*tokens, tokenizer.eos_token_id] if end and tokenizer.eos_token_id is not None else tokens

    def _chat(self, tokenizer: Any, instruction: str = "") -> str:
        from jinja2 import TemplateError

        user = {"role": "user", "content": self.text}
        messages = [{"role": "system", "content": instruction}, user] if instruction else [user]
        try:
            return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except TemplateError:
            if not instruction:
                raise
        user["content"] = f"{instruction}\n\n{self.text}"
        return tokenizer.apply_chat_template([user], add_generation_prompt=True, tokenize=False)


def _ids(tokenizer: Any, text: str, *, special: bool = True) -> list[int]:
    return list(tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])
