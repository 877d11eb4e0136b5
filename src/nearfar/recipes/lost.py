"""LOST: pre-training with low-rank and channel-sparse weights, both initialised from one SVD of the initial weight.

Li, Yin, Shen, Xu, Xu, Huang, Wang, Liu, Wang 2025, LOST: Low-rank and Sparse Pre-training for Large Language Models
(arXiv 2508.02668).

Claim: low-rank factors alone lose quality. With a few dense input channels beside them, those on which the SVD of the
factors loses most, a model pre-trains better than with other low-rank methods and as well as with full weights, with
fewer parameters.

    y = gamma * B silu(A x) + (1 - gamma) * S x[J] + bias
    W0 = U diag(s) V^T,  B = U_r sqrt(s_r),  A = sqrt(s_r) V_r^T,  S = W0[:, J],  J = the largest ||R[:, j]||

R is W0 along the directions after the r-th. All linear layers of attention and MLP become such layers; embeddings,
norms and output stay. The loss is the next token's cross-entropy: nearness is one-hot, and all other tokens are far.

Differences from the paper: its tables were read in part only and its official code not at all; gamma 0.7, the 256
directions and `values="original"` are from the first author's development code; the fraction of channels in
pre-training is not known. Singular vectors get fixed signs, because silu(-h) is not -silu(h). Weights of rank r or less
are refused, where that code ranks rounding errors. `rank=0` trains full weights, `sparsity=0` low-rank factors only:
B A x with `activation=identity`, CoLA (Liu et al. 2025) with `factors=cola` and SiLU.

The SiLU prevents folding the factors into one matrix. `dense/` contains a model with plain linear layers, which
transformers loads. With `activation=identity` it is the same function; otherwise its layers are fitted to those of the
trained model, whose distributions it then learns for `dense_steps`. `metrics.json` has the perplexity of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nearfar.kinds.options import NewLanguageOptions, Whole, from_options
from nearfar.models.low_rank.options import LowRankSparse
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Options(NewLanguageOptions, LowRankSparse):
    """Hyper-parameters of LOST (those of the layers are in `LowRankSparse`).

    Args:
        rank: r; 0: full weights. The paper: a quarter of the width.
        dense: Write `dense/` too.
        dense_steps: Number of steps in which `dense/`, once fitted, learns the distributions of the trained model.
    """

    learning_rate: float = 2.5e-3
    gradient_clip: float = 0.5
    rank: Whole = 64
    dense: bool = True
    dense_steps: Whole = 100


def prepare(name: str | None, documents: Dataset, options: Options) -> Plan:
    """A new model, in the shape of another or a small LLaMA, with its linear layers replaced."""
    from nearfar.kinds.causal import CausalLM
    from nearfar.kinds.dense import export_dense
    from nearfar.losses.language import LanguageLoss, TeacherLoss
    from nearfar.models.low_rank.files import save_low_rank_sparse
    from nearfar.models.low_rank.layers import convert
    from nearfar.models.new_language import LlamaShape, new_language_model_for

    options.check_unused(name)
    shape = from_options(LlamaShape, options, positions=options.max_length)
    model, tokenizer = new_language_model_for(documents, name, options.vocabulary, shape)
    stage = Stage(documents, LanguageLoss())
    if not options.rank:
        return Plan(CausalLM(model, tokenizer), stage)
    convert(model, from_options(LowRankSparse, options))
    trained = CausalLM(model, tokenizer, save_low_rank_sparse)
    finish = partial(export_dense, trained, documents, options, options.dense_steps, TeacherLoss)
    return Plan(trained, stage, finish=finish if options.dense else None)


RECIPE = Recipe("lost", {"rows": ("documents",)}, Options, prepare, trains="causal LM", model=None, makes_model=True)
