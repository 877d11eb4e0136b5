"""Contrastive search: its decoding needs token states that differ, and this trains a model that lacks them.

Su & Collier 2023, Contrastive Search Is What You Need For Neural Text Generation (TMLR; arXiv 2210.14140), with the
training of Su et al. 2022, A Contrastive Framework for Neural Text Generation (SimCTG, NeurIPS 2022; arXiv 2202.06417).

Claim: of the likeliest tokens, taking the one whose state is least like those before writes text that is as diverse as
people's and more coherent than what sampling writes; and models need no training for it, since but for a few their
token states point in different directions already.

    x_t = argmax over the k likeliest v of  (1 - a) p(v | x_<t) - a max_j<t cos(h_v, h_j)             (decoding)
    L = L_MLE + mean over i != j of max(0, rho - 1 + cos(h_i, h_j))                                   (training)

The decoding is `nearfar.decoding.contrastive_search`, for `nearfar generate` and for any causal language model of
transformers. Measure `nearfar.decoding.isotropy` first: the paper's two models that need training have 0.10 and 0.25,
its others 0.53 and more. `metrics.json` gives it before and after training.

Here: blocks hold the end of one document and the beginning of the next, without padding, and the term takes all pairs
of a block; the authors mask padding. They train GPT-2 on 128 blocks of 256 tokens for 40,000 steps; the batch is
smaller by default, and AdamW's betas are torch's (theirs could not be verified). Isotropy averages over all pairs of
all texts, as their code does. Their study of 16 languages, MAUVE and the judgement of people are not repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nearfar.kinds.options import LanguageOptions, NonNegative, Range
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.kinds.causal import CausalLM

#: Documents whose tokens are compared before and after.
MEASURED = 32


@dataclass(frozen=True)
class Options(LanguageOptions):
    """Hyper-parameters of SimCTG.

    Args:
        margin: rho: two tokens of a block may have a cosine of 1 - rho.
        weight: Of the term beside the next token's loss; 0 trains by that alone.
    """

    learning_rate: float = 2e-5
    schedule: Literal["cosine", "linear"] = "linear"
    beta2: float = 0.999
    margin: Annotated[float, Range(least=0, most=2)] = 0.5
    weight: NonNegative = 1.0


def prepare(model: CausalLM, documents: Dataset, options: Options) -> Plan:
    """The model as it comes, and the term that keeps its last layer's states apart."""
    from nearfar.decoding.layers import isotropy
    from nearfar.losses.language import LanguageLoss
    from nearfar.losses.tokens import SelfContrast

    texts = documents[:MEASURED]["text"]
    spread = partial(isotropy, model.model, model.tokenizer, texts, max_length=options.max_length)
    before = spread()[-1].isotropy

    def finish(folder: Path, held_out: Dataset | None) -> dict[str, Any]:
        return {"isotropy": {"before": before, "after": spread()[-1].isotropy}}

    loss = LanguageLoss(SelfContrast(options.margin, options.weight))
    return Plan(model, Stage(documents, loss), finish=finish)


RECIPE = Recipe("contrastive_search", {"rows": ("documents",)}, Options, prepare, trains="causal LM", model="smollm2")
