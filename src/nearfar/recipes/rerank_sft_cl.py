"""A reranker by supervised fine-tuning (SFT) or contrast (CL), and by any mixture of their weights and directions.

Dai, Li, Zhang, Zhang, Zhang, Long, Xie, Zhang, Li, Zhang 2026, Supervised Fine-Tuning or Contrastive Learning? Towards
Better Multimodal LLM Reranking (ICLR 2026).

Claim: for a language model that answers whether a document is relevant, SFT trains a better reranker than CL, because
of the weights that it gives to the documents of a query; the direction of the update hardly matters.

    L_CL  = -log( exp z_y(0) / sum_j exp z_y(j) )            z_y, z_n: logits of yes and no; 0: the positive
    L_SFT = -log s(0) - sum_i log(1 - s(i)),   s = sigmoid(z_y - z_n)
    dL/dh_0 = -W(0) D,   dL/dh_i = W(i) D                    `nearfar.losses.reranking` mixes weights W and directions D

A causal language model gets the paper's prompt, in its own chat template if it has one. A cross-encoder has one logit,
which is z_y, and z_n = 0: both directions are then the same, and SFT is binary cross-entropy. An encoder gets a new
classifier. A model is scored by what its direction pushes: z_y - z_n (SFT) or z_y (CL). A LoRA is merged at the end.

Differences from the paper: text only. Mined negatives that an encoder finds nearly as similar as the positive are
skipped; how the authors mined theirs is not known. Every loss is a sum over a query's documents and a mean over
queries, so that learning rates mean the same. tau, LoRA's alpha, batch size and epochs are not given by the sources
used here. The random direction is a learned vector in place of D, which becomes the head's row of yes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import NonNegative, Probability, TrainingOptions, Whole
from nearfar.models.yes_no_prompts import INSTRUCTION
from nearfar.recipes import Plan, Recipe, Stage


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of the reranker, the paper's with a LoRA.

    Args:
        batch_size: Queries per batch and process, each with all its documents.
        weight: W of each document: `sft`, `cl`, `one` (always 1), or `mask` (1 until the pair is learned).
        direction: D: `sft`, `cl`, or `random` for a learned vector (language models only).
        tau: A pair is learned, for `mask`, if its probability of the wrong answer is below tau.
        negatives: Negatives per query: the first of the rows' own, then mined and random ones; 0: all own, or 4.
        corpus: File of documents to choose negatives from (column `text`, or corpus.jsonl); empty: the rows' documents.
        miner: Name of the encoder that mines.
        instruction: What makes a document relevant, for a language model.
        lora_alpha: The update of a LoRA is multiplied with alpha / rank. The paper's rank is 16.
        lora_merge: Add the LoRA to the weights after training; `random`, which changes the head, requires it.
    """

    batch_size: int = 8
    learning_rate: float = 1e-4
    weight: Literal["sft", "cl", "one", "mask"] = "sft"
    direction: Literal["sft", "cl", "random"] = "sft"
    tau: Probability = 0.1
    negatives: Whole = 0
    corpus: str = ""
    miner: str = "minilm"
    instruction: str = INSTRUCTION
    lora_alpha: NonNegative = 32.0
    lora_merge: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.direction == "random" and not self.lora_merge:
            problem = "an adapter does not contain the head, which the direction random changes"
            raise InputError(problem, field="lora_merge", remedy="set lora_merge=true")


def prepare(model: Any, rows: Any, options: Options) -> Plan:
    """Give the model its prompt and the rows their negatives, and compose the loss."""
    from nearfar.losses.reranking import RerankingLoss
    from nearfar.mining.negatives import complete_rows
    from nearfar.models.yes_no import score_by
    from nearfar.models.yes_no_prompts import prepare_reranker

    prepare_reranker(model, options.direction, options.instruction)
    rows = complete_rows(rows, options.negatives, options.corpus, options.miner)

    def stages() -> Iterator[Stage]:
        loss = RerankingLoss(model, options.weight, options.direction, options.tau)
        yield Stage(rows, loss, batches="shuffled")
        score_by(model, options.direction, loss.vector)

    return Plan(model, stages(), count=1)


RECIPE = Recipe("rerank_sft_cl", {"rows": ("pairs",)}, Options, prepare, trains="reranker")
