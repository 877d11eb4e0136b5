"""Scores of given answers, by a language model alone and by contrasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nearfar.decoding.branches import Branches
from nearfar.decoding.layer_contrast import LayerContrast
from nearfar.models.chat import Prompt

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from nearfar.decoding.amateur import Amateur

__all__ = ["Chooser"]


class Chooser:
    """Scores answers to prompts; see `Branches` for its arguments."""

    def __init__(
        self, model: Any, tokenizer: Any, contrasts: Sequence[LayerContrast], amateur: Amateur | None = None
    ) -> None:
        self._tokenizer, self._branches = tokenizer, Branches(model, tokenizer, contrasts, amateur)

    def __call__(
        self, prompt: Prompt, answers: Sequence[str], *, normalize: bool = False, batch_size: int = 8
    ) -> tuple[Float[np.ndarray, "contrasts answers"], list[int]]:
        """The sum of the scores of each answer's tokens, by each contrast, and the number of its tokens.

        Args:
            prompt: The prompt. What it shares with the beginning of the previous prompt is not computed again.
            answers: The answers, not empty.
            normalize: Whether the scores of all tokens become log-probabilities before they are added.
            batch_size: Answers per forward pass.
        """
        import numpy as np
        import torch

        tokens = [prompt.answer(self._tokenizer, text) for text in answers]
        scores = self._branches.answers(prompt, tokens, batch_size=batch_size)
        if normalize:
            scores = scores.log_softmax(-1)
        chosen = torch.tensor([token for answer in tokens for token in answer], device=scores.device)
        of_tokens = scores.gather(-1, chosen.expand(len(scores), -1)[..., None])[..., 0].double().cpu().numpy()
        starts = np.cumsum([0, *map(len, tokens[:-1])])
        return np.add.reduceat(of_tokens, starts, axis=1), [len(answer) for answer in tokens]
