"""DebCSE-style sampling: pairs sampled by inverse propensity, so that shared words do not decide what is near.

Miao, Du, Li 2023, DebCSE: Rethinking Unsupervised Contrastive Sentence Embedding Learning in the Debiasing Perspective
(CIKM 2023).

Claim: a sentence shares every word with itself as its positive, and no word with a random negative, so words and length
alone solve the task. Pairs like those of annotated data - positives with other words, negatives with the same words -
train better embeddings: 80.33 on seven STS sets, where SimCSE has about 76.25 (BERT-base).

    q+ ~ sem^a / max(surf, clip)^b                          over the sentence itself and its K+ nearest
    q- ~ (1 - sem)^a' / max(1 - surf, clip)^b', sem < t_fn  over its next K- nearest and random ones
    loss_i = -log( exp(cos(z_i, p_i)/tau) / sum_j ( exp(cos(z_i, p_j)/tau) + sum_m exp(cos(z_i, n_jm)/tau) ) )

with p ~ q+ and M negatives n ~ q-, sem the cosine of a frozen teacher and surf the similarity of the words.

Not the authors' exact algorithm: only the abstract could be read and no code was found. The principle is theirs
(positives and negatives by inverse propensity, from surface and semantic similarity); the form of the propensities, the
candidates and all numbers of the sampler are a reconstruction. Edited or back-translated positives and a factor for
length are missing. One pass samples one pair per sentence (`draws`); a sentence without M negatives below t_fn is
dropped. The teacher is the model before training unless another is named; a gain over SimCSE may then be the teacher's
knowledge, so compare with `b=0 b_negative=0`, which samples by meaning only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from nearfar.kinds.options import ContrastOptions, Probability, Range, from_options
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

Exponent = Annotated[float, Range(least=0, most=100)]
Cosine = Annotated[float, Range(least=1e-3, most=1)]
Number = Annotated[int, Range(least=0, most=10_000)]
Times = Annotated[int, Range(least=1, most=100)]


@dataclass(frozen=True)
class Options(ContrastOptions):
    """Hyper-parameters of DebCSE-style sampling.

    Args:
        dropout: Dropout probability of the encoder in training.
        teacher: Model whose cosines measure meaning, such as one trained by `simcse`; none: the model before training.
        surface: Shared words (`jaccard`), rare words weighted higher (`idf`), or edits of words (`levenshtein`).
        a, b: Exponents of meaning and of propensity for positives.
        a_negative, b_negative: The same for negatives.
        clip: Minimum propensity.
        t_fn: Teacher's cosine from which a sentence cannot be a negative; 0.75 suits all-MiniLM, 0.9 SimCSE.
        positives: K+, number of nearest sentences that can be positives.
        negatives: K-, number of next nearest sentences that can be negatives.
        random_negatives: Number of random sentences that can be negatives.
        hard_negatives: M, number of negatives per pair.
        draws: Number of pairs per sentence.
        rounds: Number of runs, each with the model of the run before as teacher.
    """

    learning_rate: float = 3e-5
    max_length: int = 32
    temperature: float = 0.05
    dropout: Probability = 0.1
    teacher: str | None = None
    surface: Literal["jaccard", "idf", "levenshtein"] = "jaccard"
    a: Exponent = 4.0
    b: Exponent = 1.0
    a_negative: Exponent = 1.0
    b_negative: Exponent = 1.0
    clip: Cosine = 0.1
    t_fn: Cosine = 0.75
    positives: Number = 20
    negatives: Number = 180
    random_negatives: Number = 20
    hard_negatives: Times = 1
    draws: Times = 1
    rounds: Times = 1


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """In each round, the teacher finds candidates, and the pairs to train on are sampled from them."""
    import torch

    from nearfar.losses import ContrastLoss
    from nearfar.mining import InversePropensity, debiased_pairs, mine_with
    from nearfar.models import load
    from nearfar.models.dropout import set_dropout

    set_dropout(model, options.dropout)
    texts, seed = list(rows["text"]), int(torch.randint(2**31, ()))
    loss = ContrastLoss(model, **options.contrast)
    how = from_options(InversePropensity, options)

    def rounds() -> Iterator[Stage]:
        teacher = model if options.teacher is None else load(options.teacher)
        for number in range(1, options.rounds + 1):
            candidates = mine_with(teacher, texts, how, max_length=options.max_length, seed=seed + number)
            pairs = debiased_pairs(texts, candidates, how, seed=seed + number)
            yield Stage(pairs, loss, name=f"round {number}")
            teacher = model

    return Plan(model, rounds(), options.rounds, grows="rounds")


RECIPE = Recipe("debcse", {"rows": ("sentences",)}, Options, prepare)
