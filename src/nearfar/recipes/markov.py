"""Markov categories: the loss of the next token as an implicit spectral contrastive loss.

Zhang 2025, A Markov Categorical Framework for Language Modeling (arXiv 2507.19247, version 2).

Claim: training with NLL aligns the states of a language model with the leading eigenspaces of a predictive-similarity
operator, which says how similar the next-token laws of two contexts are. It is contrastive learning without pairs.

    NLL     = -E_joint[l_xw] + E_x log sum_w exp(l_xw)                                   l: the logits
    L_spec  = -2 E_joint[z_xw] + E_{x, w ~ pi}[z_xw^2],   z = l - log pi, minus its mean under pi
    NLL     = H(W) + L_spec / 2 + O(z^3)

Near is the token that followed, far are all tokens by their share pi; L_spec has no softmax. With a head of rank d,
both have their minimum at the first d canonical correlations of context and token, if the dependence is weak. In text
it is strong: a likely token has a large z, the softmax of a model trained with L_spec is not its law, and its
perplexity is worse. Train with either loss to see this; `metrics.json` contains both of both, and `nearfar inspect`
measures what the states know.

Differences from the paper: it has no experiments and no code. Its central theorem (NLL is equivalent to maximising
E<h, h'>K for whitened states) is heuristic in version 2 and a surrogate in later ones, of which only abstracts were
read; the second-order statement above is ours, and `tests/losses/test_spectral.py` checks it. The paper's quantities
are in `nearfar.theory`, where the scores of alignment are ours, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nearfar.kinds.options import NewLanguageOptions, from_options
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset

#: Blocks of the held-out documents in one pass, and the most that are measured.
AT_ONCE, MEASURED = 8, 256


@dataclass(frozen=True)
class Options(NewLanguageOptions):
    """Hyper-parameters: the loss, and the shape of a new model.

    Args:
        loss: `nll`: the cross-entropy of the next token. `spectral`: L_spec / 2. `both`: their sum.
    """

    loss: Literal["nll", "spectral", "both"] = "spectral"


def prepare(name: str | None, documents: Dataset, options: Options) -> Plan:
    """A new model, in the shape of another or a small LLaMA, and the share of each token in the documents."""
    import torch

    from nearfar.data.packing import unigram
    from nearfar.kinds.causal import CausalLM
    from nearfar.losses.language import LanguageLoss
    from nearfar.losses.spectral import SpectralLoss, mean_losses
    from nearfar.models.new_language import LlamaShape, new_language_model_for

    options.check_unused(name)
    shape = from_options(LlamaShape, options, positions=options.max_length)
    model = CausalLM(*new_language_model_for(documents, name, options.vocabulary, shape))
    log_pi = torch.from_numpy(unigram(documents, model.tokenizer, model.model.config.vocab_size)).log().float()

    def finish(folder: Path, held_out: Dataset | None) -> dict[str, Any]:
        if held_out is None:
            return {}
        blocks = model.blocks(held_out)
        blocks = blocks.select(range(min(MEASURED, len(blocks))))
        return {"losses": mean_losses(model.model, blocks.iter(AT_ONCE), log_pi)}  # pyright: ignore[reportArgumentType]

    spectral = SpectralLoss(log_pi, next_token=float(options.loss == "both"))
    return Plan(model, Stage(documents, LanguageLoss() if options.loss == "nll" else spectral), finish=finish)


RECIPE = Recipe("markov", {"rows": ("documents",)}, Options, prepare, trains="causal LM", model=None, makes_model=True)
