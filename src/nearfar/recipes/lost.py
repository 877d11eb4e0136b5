"""LOST: pre-training with low-rank and channel-sparse weights, both started from one SVD of the initial weight.

Li, Yin, Shen, Xu, Xu, Huang, Wang, Liu, Wang 2025, LOST: Low-rank and Sparse Pre-training for Large Language Models
(arXiv 2508.02668).

Claim: training low-rank factors alone loses quality. With a few dense input channels beside them, chosen where the SVD
that starts the factors leaves most behind, a model pre-trains better than by low-rank methods and as well as with full
weights, at fewer parameters.

    y = gamma * B silu(A x) + (1 - gamma) * S x[J] + bias
    W0 = U diag(s) V^T,  B = U_r sqrt(s_r),  A = sqrt(s_r) V_r^T,  S = W0[:, J],  J = the largest ||R[:, j]||

R is W0 along the directions after the r-th. All linear layers of attention and MLP become such layers; embeddings,
norms and output stay. The loss is the next token's cross-entropy: nearness is one-hot, and all other tokens are far.

Here: the paper's tables were read in part only, and its official code not at all; gamma 0.7, the 256 directions and
`values="original"` are those of the first author's development code, the part of channels kept in pre-training is not
known. Singular vectors get fixed signs, since silu(-h) is not -silu(h). Weights of rank r or less are refused, where
that code goes on and scores rounding. `rank=0` trains full weights, `sparsity=0` low-rank factors alone; with
`activation=identity` those are B A x, with `factors=cola` and SiLU those of CoLA (Liu et al. 2025).

With SiLU between them the factors fold into no matrix. `dense/` holds a model that plain transformers loads, in which a
linear layer stands for each such layer. With `activation=identity` it is the same function. Else it is another one: the
matrices (and biases, where the architecture has them) are fitted to the layers' outputs on the training text, then all
of it learns the trained model's distributions for `dense_steps`. `metrics.json` gives the perplexity of both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Annotated

from nearfar.kinds.options import Count, LanguageOptions, Range, Whole
from nearfar.kinds.plan import Plan, Stage
from nearfar.models.low_rank.options import LowRankSparse
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Options(LanguageOptions, LowRankSparse):
    """Hyper-parameters of LOST (those of the layers are `LowRankSparse`'s), and the shape of a model of its own.

    Args:
        rank: r; 0: full weights. The paper: a quarter of the width.
        dense: Write `dense/` as well.
        dense_steps: Steps in which `dense/`, once fitted, learns the distributions of the trained model.
        hidden_size, layers, heads, intermediate_size: Of a new LLaMA; intermediate_size 0: 8/3 of the width.
        vocabulary: Tokens of the byte-level BPE that is learned from the data.
    """

    learning_rate: float = 2.5e-3
    gradient_clip: float = 0.5
    rank: Whole = 64
    dense: bool = True
    dense_steps: Whole = 100
    hidden_size: Annotated[int, Range(least=2)] = 256
    layers: Count = 4
    heads: Count = 4
    intermediate_size: Whole = 0
    vocabulary: int = 8192

    @property
    def how(self) -> LowRankSparse:
        """How the layers are taken apart."""
        return LowRankSparse(**{field.name: getattr(self, field.name) for field in fields(LowRankSparse)})


def prepare(name: str | None, documents: Dataset, options: Options) -> Plan:
    """A new model: of the shape of another, or a small LLaMA; its layers taken apart."""
    from nearfar.kinds.causal import CausalLM
    from nearfar.kinds.dense import export_dense
    from nearfar.losses.language import LanguageLoss, TeacherLoss
    from nearfar.models.low_rank.files import save_low_rank_sparse
    from nearfar.models.low_rank.layers import convert
    from nearfar.models.new_language import new_language_model, new_llama, new_tokenizer

    if name is not None:
        model, tokenizer = new_language_model(name)
    else:
        tokenizer = new_tokenizer(documents, options.vocabulary)
        model = new_llama(
            len(tokenizer),
            hidden_size=options.hidden_size,
            layers=options.layers,
            heads=options.heads,
            intermediate_size=options.intermediate_size,
            positions=options.max_length,
        )
    stage = Stage(documents, LanguageLoss())
    if not options.rank:
        return Plan(CausalLM(model, tokenizer), stage)
    convert(model, options.how)
    trained = CausalLM(model, tokenizer, save_low_rank_sparse)
    finish = partial(export_dense, trained, documents, options, options.dense_steps, TeacherLoss)
    return Plan(trained, stage, finish=finish if options.dense else None)


RECIPE = Recipe("lost", {"rows": ("documents",)}, Options, prepare, trains="causal LM", model=None, makes_model=True)
