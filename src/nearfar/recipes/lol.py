"""LOL: an amateur that hallucinates, to contrast a language model with while decoding.

Chen, Fang, Ni, Liang, Hu, Argha, Alinejad-Rokny, Yang, Li 2024, Lower Layers Matter: Alleviating Hallucination via
Multi-Layer Fusion Contrastive Decoding with Truthfulness Refocused (arXiv 2408.08769).

Claim: subtracting the log-probabilities of a model that was trained to hallucinate (ICD, Zhang et al. 2023) leaves
fewer falsehoods than decoding the model alone. The same contrast at lower layers, and the change that an instruction to
be truthful makes, add to this.

    F = F_L + omega mean over l in S of F_l + gamma (log p_L(x | c, x_<t) - log p_L(x | x_<t))
    F_l = log p_l(x | x_<t; expert) - lambda log p_l(x | x_<t; amateur),  x likely: p_L(x) >= alpha max p_L

This recipe trains the amateur: cross-entropy of hallucinated answers given their questions. Nearness is the next token,
all others are far. The decoding is `nearfar generate MODEL --decoding lol --amateur RUN/model`, and
`nearfar evaluate MODEL --task truthful` measures it; use the same MODEL as here. A LoRA amateur is an adapter of MODEL,
which is then in memory once.

Differences from the paper: no official code exists, and of the paper only the abstracts could be read. The fusion of
layers and omega are those of a reimplementation (RCD) or were chosen here, and the refocus is a reconstruction. The
data and the training are those of ICD's code (10,000 answers of HaluEval); the rank and the learning rate of LoRA were
chosen here. Early exits pass the final norm, which ICD's and DoLa's code omits (`--set norm=false` in decoding).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from nearfar.kinds.options import LanguageOptions, Positive, Range, Whole
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.kinds.causal import CausalLM


@dataclass(frozen=True)
class Options(LanguageOptions):
    """Hyper-parameters of the amateur's training.

    Args:
        batch_size: Answers per batch and process.
        max_length: Maximum number of tokens of question and answer.
        lora_rank: Rank of the LoRA adapter; 0: train all weights, with a lower learning rate.
    """

    epochs: Positive = 1.0
    batch_size: Annotated[int, Range(least=2)] = 8
    learning_rate: Positive = 2e-4
    max_length: Annotated[int, Range(least=2)] = 256
    schedule: Literal["cosine", "linear"] = "linear"
    lora_rank: Whole = 16


def prepare(model: CausalLM, rows: Dataset, options: Options) -> Plan:
    """The model learns the answers (`positive`) to the questions (`anchor`)."""
    from nearfar.losses.language import LanguageLoss

    return Plan(model, Stage(rows.select_columns(["anchor", "positive"]), LanguageLoss()))


RECIPE = Recipe("lol", {"rows": ("pairs",)}, Options, prepare, trains="causal LM", model="smollm2")
