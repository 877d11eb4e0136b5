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
from typing import TYPE_CHECKING, Any, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import LanguageOptions
from nearfar.recipes._recipe import LanguagePlan, Paper, Recipe

if TYPE_CHECKING:
    from datasets import Dataset

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
    margin: float = 0.5
    weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.margin <= 2:
            raise InputError(f"{self.margin} is no margin of cosines", field="margin", remedy="use 0 to 2, e.g. 0.5")
        if not 0 <= self.weight < float("inf"):
            raise InputError(f"{self.weight} is no weight", field="weight", remedy="use 0, or e.g. 1")


def prepare(name: str | None, documents: Dataset, options: Options) -> LanguagePlan:
    """The model as it comes, and the term that keeps its last layer's states apart."""
    from nearfar.decoding.layers import isotropy
    from nearfar.losses.language import LanguageLoss
    from nearfar.losses.tokens import SelfContrast
    from nearfar.models.language import load_language_model

    if name is None:
        raise InputError("no model to train is named", field="--model", remedy="name one, such as smollm2")
    model, tokenizer = load_language_model(name)
    texts = documents[:MEASURED]["text"]
    spread = partial(isotropy, model, tokenizer, texts, max_length=options.max_length)
    before = spread()[-1].isotropy

    def finish(folder: Path, blocks: Dataset, held_out: Dataset | None) -> dict[str, Any]:
        return {"isotropy": {"before": before, "after": spread()[-1].isotropy}}

    return LanguagePlan(model, tokenizer, LanguageLoss(SelfContrast(options.margin, options.weight)), finish=finish)


RECIPE = Recipe(
    name="contrastive_search",
    summary="keeps token states apart for contrastive search, the decoding of `nearfar generate`",
    idea=(
        "Beside the next token's loss, the states of different tokens are pushed apart until their cosine is at most 1 "
        "- rho; none are pulled together. Decoding can then take, of the likeliest next tokens, one whose state is "
        "unlike those before, and the text does not repeat itself."
    ),
    use_when=(
        "A language model repeats itself under greedy decoding. Try `nearfar generate --decoding contrastive-search` "
        "without training first, and train where `nearfar.decoding.isotropy` is low."
    ),
    paper=Paper(
        "Contrastive Search Is What You Need For Neural Text Generation",
        "Su, Collier",
        2023,
        "https://arxiv.org/abs/2210.14140",
    ),
    task="text from a language model; documents to train it on",
    schemas=("sentences",),
    options=Options,
    prepare=prepare,
    trains="language model",
    model="smollm2",
)
