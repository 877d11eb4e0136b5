"""Contrastive search: a decoding method that needs token states that differ, and training for models without them.

Su & Collier 2023, Contrastive Search Is What You Need For Neural Text Generation (TMLR; arXiv 2210.14140), with the
training of Su et al. 2022, A Contrastive Framework for Neural Text Generation (SimCTG, NeurIPS 2022; arXiv 2202.06417).

Claim: among the most likely tokens, choose the one whose state is least similar to the states before it. The text is as
diverse as text by people and more coherent than sampled text. Most models need no training for this, because their
token states already have different directions.

    x_t = argmax over the k likeliest v of  (1 - a) p(v | x_<t) - a max_j<t cos(h_v, h_j)             (decoding)
    L = L_MLE + mean over i != j of max(0, rho - 1 + cos(h_i, h_j))                                   (training)

The decoding is `nearfar.decoding.contrastive_search`, for `nearfar generate` and for any causal language model of
transformers. Measure `nearfar.decoding.isotropy` first: it is 0.10 and 0.25 for the paper's two models that need
training, and 0.53 or more for the others. `metrics.json` contains it before and after training.

Differences from the paper: blocks contain the end of one document and the start of the next, without padding, and the
term uses all pairs of a block; the authors mask padding. They train GPT-2 on 128 blocks of 256 tokens for 40,000 steps;
the default batch here is smaller, and AdamW's betas are those of torch (theirs could not be verified). Isotropy is the
mean over all pairs of all texts, as in their code. Their study of 16 languages, MAUVE and human evaluation are not
repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nearfar.kinds.options import LanguageOptions, NonNegative, Range
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.kinds.causal import CausalLM

#: Number of documents whose isotropy is measured before and after training.
MEASURED = 32


@dataclass(frozen=True)
class Options(LanguageOptions):
    """Hyper-parameters of SimCTG.

    Args:
        margin: rho: the cosine of two tokens of a block may be up to 1 - rho.
        weight: Weight of the term that is added to the loss of the next token; 0: train with that loss only.
    """

    learning_rate: float = 2e-5
    schedule: Literal["cosine", "linear"] = "linear"
    beta2: float = 0.999
    margin: Annotated[float, Range(least=0, most=2)] = 0.5
    weight: NonNegative = 1.0


def prepare(model: CausalLM, documents: Dataset, options: Options) -> Plan:
    """Add the term that pushes the token states of the last layer apart."""
    from nearfar.decoding.layers import isotropy
    from nearfar.losses.language import LanguageLoss
    from nearfar.losses.tokens import SelfContrast

    texts = documents[:MEASURED]["text"]
    measured = partial(isotropy, model.model, model.tokenizer, texts, max_length=options.max_length)
    before = measured()[-1].isotropy

    def finish(folder: Path, held_out: Dataset | None) -> dict[str, Any]:
        return {"isotropy": {"before": before, "after": measured()[-1].isotropy}}

    loss = LanguageLoss(SelfContrast(options.margin, options.weight))
    return Plan(model, Stage(documents, loss), finish=finish)


RECIPE = Recipe("contrastive_search", {"rows": ("documents",)}, Options, prepare, trains="causal LM", model="smollm2")
