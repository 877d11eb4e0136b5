"""A reranker by supervised fine-tuning (SFT) or contrast (CL), and by any mixture of their weights and directions.

Dai, Li, Zhang, Zhang, Zhang, Long, Xie, Zhang, Li, Zhang 2026, Supervised Fine-Tuning or Contrastive Learning? Towards
Better Multimodal LLM Reranking (ICLR 2026).

Claim: for a language model that answers whether a document is relevant, SFT trains a better reranker than CL, because
of the weights that it gives to the documents of a query; the direction of the update hardly matters.

    group: a query, its positive d_0, negatives d_1 ... d_N;   z_y, z_n: logits of yes and no after the prompt of a pair
    L_CL  = -log( exp z_y(0) / sum_j exp z_y(j) )                                    score: z_y
    L_SFT = -log s(0) - sum_i log(1 - s(i)),   s = sigmoid(z_y - z_n)                score: z_y - z_n
    dL/dh_0 = -W(0) D,   dL/dh_i = W(i) D
    CL:  W(0) = 1 - p(0), W(i) = p(i), p = softmax z_y;   D = M_y                    M: rows of the head
    SFT: W(0) = 1 - s(0), W(i) = s(i);                    D = M_y - M_n

`weight` and `direction` choose W and D. With the same name they are the two losses; otherwise the loss is a surrogate
with that gradient and a meaningless value. The saved model is scored by what its direction pushes.

Models: a causal language model gets the paper's prompt, in its own chat template if it has one. A classifier
(cross-encoder) has one logit, which is z_y, and z_n = 0: both directions are then the same, and SFT is binary
cross-entropy. An encoder gets a new classifier. A LoRA is merged into the weights at the end.

Differences from the paper: text only. Mined negatives that an encoder finds nearly as similar as the positive are
skipped; how the authors mined theirs is not known. Every loss is a sum over a query's documents and a mean over
queries, so that learning rates mean the same. tau of the mask, LoRA's alpha, batch size and epochs are not given by the
sources used here. The random direction is a vector that is learned in place of D and becomes the head's row of yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import NonNegative, Probability, TrainingOptions, Whole
from nearfar.models.answer_prompts import INSTRUCTION
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datasets import Dataset


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of the reranker, the paper's with a LoRA.

    Args:
        batch_size: Queries per batch and process, each with all its documents.
        weight: W of each document: `sft`, `cl`, `one` (always 1), or `mask` (1 until the pair is learned).
        direction: D: `sft`, `cl`, or `random` for a learned vector (language models only).
        tau: A pair is learned, for `mask`, if its probability of the wrong answer is below tau.
        negatives: Negatives per query: the rows' own, then mined and random ones in equal parts; 0: the rows' own, or 4
            if they have none.
        corpus: File of documents to choose negatives from (column `text`, or corpus.jsonl); empty: the rows' documents.
        miner: Name of the encoder that mines.
        instruction: What makes a document relevant, for a language model.
        lora_rank: Rank of a LoRA on all linear layers below the head; 0: train all weights. The paper's is 16.
        lora_alpha: The update of a LoRA is multiplied with alpha / rank.
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
    lora_rank: Whole = 0
    lora_alpha: NonNegative = 32.0


def prepare(model: Any, rows: Dataset, options: Options) -> Plan:
    """Give the model its prompt and the rows their negatives, and compose the loss."""
    from nearfar.data.corpus import read_corpus
    from nearfar.losses.reranking import RerankingLoss
    from nearfar.mining import Negatives, with_negatives
    from nearfar.models import load
    from nearfar.models.adapters import add_lora, merge_adapters
    from nearfar.models.answer_prompts import set_prompt
    from nearfar.models.answers import answers_yes_or_no, score_by

    if answers_yes_or_no(model):
        set_prompt(model, options.instruction)
        score_by(model, options.direction)
    elif options.direction == "random" or model.num_labels > 1:
        what = "a language model" if options.direction == "random" else f"one output, got {model.num_labels}"
        raise InputError(f"expected {what}", field="model", remedy="use another model or direction")
    count = options.negatives or (0 if {"negative", "negative_1"} & set(rows.column_names) else 4)
    if count:
        documents = list(read_corpus(options.corpus)[1]) if options.corpus else None
        rows = with_negatives(rows, load(options.miner), Negatives(count), documents)
    if options.lora_rank:
        add_lora(model.transformers_model, options.lora_rank, options.lora_alpha)
    loss = RerankingLoss(model, options.weight, options.direction, options.tau)

    def stages() -> Iterator[Stage]:
        yield Stage(rows, loss, batches="shuffled")
        merge_adapters(model)
        score_by(model, options.direction, loss.vector)

    return Plan(model, stages(), count=1)


RECIPE = Recipe("rerank_sft_cl", {"rows": ("pairs",)}, Options, prepare, trains="reranker")
