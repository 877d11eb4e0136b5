"""The loss of a vision-language model: it writes about images, and finds them.

Source: Wang et al. 2024, COSMO: COntrastive Streamlined MultimOdal Model with Interleaved Pre-Training (arXiv
2401.00849).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar import contrast, far
from nearfar.models.answers import IGNORED

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["CaptioningLoss", "caption_contrast"]


class CaptioningLoss(nn.Module):
    """L = L_lm + w L_con: the mean cross-entropy per token of what is written, and a contrast of texts with images.

    Only images with one caption count for L_con: the text of a longer document distinguishes its images too easily.

    Args:
        weight: w.

    Data: see `nearfar.models.vision_language.model.VisionLanguageModel`, and `labels`; `pair` is true for an image with
    its caption.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, model: Any, batch: Mapping[str, Any]) -> Float[Tensor, ""]:
        """The loss of a batch; `model` may be wrapped by a trainer."""
        found = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "places", "images")})
        labels, logits = batch["labels"][:, 1:], found.logits[:, :-1].float()
        loss = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="sum")
        loss = loss / (labels != IGNORED).sum().clamp(min=1)
        pairs = batch["pair"].bool()
        if self.weight and pairs.sum() > 1:
            texts, images, tokens = found.texts[pairs], found.images[pairs], batch["input_ids"][pairs]
            return loss + self.weight * caption_contrast(texts, images, found.scale, tokens)
        # Every parameter takes part in every step, as distributed training requires.
        return loss + 0 * (found.texts.sum() + found.images.sum() + found.scale)


def caption_contrast(
    texts: Float[Tensor, "b d"], images: Float[Tensor, "b d"], scale: Float[Tensor, ""], tokens: Int[Tensor, "b t"]
) -> Float[Tensor, ""]:
    """L_con: texts to images and images to texts, half each; equal captions are not each other's negatives.

    Args:
        texts, images: Unit vectors; row i of both belong together.
        scale: exp(theta), by which similarities are multiplied.
        tokens: Tokens of the captions, padded alike.
    """
    same = (tokens[:, None] == tokens[None]).all(-1) & ~torch.eye(len(tokens), dtype=torch.bool, device=tokens.device)
    return contrast(texts, images, far=far.masked(same), temperature=1 / scale, symmetric=True)
