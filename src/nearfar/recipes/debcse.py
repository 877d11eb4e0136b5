"""DebCSE-style sampling: pairs drawn by inverse propensity, so that shared words no longer decide who is near.

Miao, Du, Li 2023, DebCSE: Rethinking Unsupervised Contrastive Sentence Embedding Learning in the Debiasing Perspective
(CIKM 2023).

Claim: a sentence as its own positive shares every word with it, and a random negative shares none, so that words and
length alone solve the task. Pairs drawn like those of annotated data - positives with other words, negatives with the
same words - make better embeddings: 80.33 on seven STS sets where SimCSE has about 76.25 (BERT-base).

    q+ ~ sem^a / max(surf, clip)^b                          over the sentence itself and its K+ nearest
    q- ~ (1 - sem)^a' / max(1 - surf, clip)^b', sem < t_fn  over its next K- nearest and random ones
    loss_i = -log( exp(cos(z_i, p_i)/tau) / sum_j ( exp(cos(z_i, p_j)/tau) + sum_m exp(cos(z_i, n_jm)/tau) ) )

with p ~ q+ and M negatives n ~ q-, sem the cosine of a frozen teacher and surf the overlap of words.

Not the authors' exact algorithm: only the abstract could be read and no code was found. The principle is theirs
(positives and negatives by inverse propensity, from surface and semantic similarity); the form of the propensities,
the candidates and all numbers of the sampler are a reconstruction. Left out: edited or back-translated positives, and
a factor for length. Here, one pass draws one pair a sentence, `draws` sets how many it draws for one epoch to pass
over, and a sentence without M negatives below t_fn is left out. The teacher is the model as it came unless named; a
gain over SimCSE may then be the teacher's knowledge, so compare with `b=0 b_negative=0`, which draws by meaning alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from nearfar.kinds.options import Positive, Probability, Range, TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.mining import Candidates


Exponent = Annotated[float, Range(least=0, most=100)]
Cosine = Annotated[float, Range(least=1e-3, most=1)]
Drawn = Annotated[int, Range(least=0, most=10_000)]
Times = Annotated[int, Range(least=1, most=100)]


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of DebCSE-style sampling.

    Args:
        temperature: tau.
        dropout: Probability in the encoder during training.
        teacher: The model whose cosines say what means the same, trained by `simcse`, say; None: the model as it came.
        surface: Words in common (`jaccard`), also by how rare they are (`idf`), or word edits (`levenshtein`).
        a, b: Exponents of meaning and of propensity for positives.
        a_negative, b_negative: The same for negatives.
        clip: Least propensity.
        t_fn: Teacher's cosine from which a sentence is no negative; 0.75 suits all-MiniLM, 0.9 SimCSE.
        positives: K+, nearest sentences among which positives are drawn.
        negatives: K-, next nearest sentences among which negatives are drawn.
        random_negatives: Random sentences among which negatives are drawn too.
        hard_negatives: M, negatives drawn for a pair.
        draws: Pairs drawn for each sentence.
        rounds: Trainings one after another, each with the last one's model as teacher.
        cached: Gradient cache, for batches that do not fit.
    """

    learning_rate: float = 3e-5
    max_length: int = 32
    temperature: Positive = 0.05
    dropout: Probability = 0.1
    teacher: str | None = None
    surface: Literal["jaccard", "idf", "levenshtein"] = "jaccard"
    a: Exponent = 4.0
    b: Exponent = 1.0
    a_negative: Exponent = 1.0
    b_negative: Exponent = 1.0
    clip: Cosine = 0.1
    t_fn: Cosine = 0.75
    positives: Drawn = 20
    negatives: Drawn = 180
    random_negatives: Drawn = 20
    hard_negatives: Times = 1
    draws: Times = 1
    rounds: Times = 1
    cached: bool = False


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Mine candidates by the teacher and draw the pairs to train on; then, if asked, again by the trained model."""
    import torch

    from nearfar.losses import ContrastLoss
    from nearfar.models import load
    from nearfar.models.dropout import set_dropout

    set_dropout(model, options.dropout)
    texts, seed = list(rows["text"]), int(torch.randint(2**31, ()))
    loss = ContrastLoss(model, temperature=options.temperature, cached=options.cached, gather_across_devices=True)

    def rounds() -> Iterator[Stage]:
        teacher = model if options.teacher is None else load(options.teacher)
        for number in range(1, options.rounds + 1):
            drawn = pairs(texts, mined(texts, teacher, options, seed + number), options, seed + number)
            yield Stage(drawn, loss, name=f"round {number}")
            teacher = model

    return Plan(model, rounds(), options.rounds, grows="rounds")


def mined(texts: list[str], teacher: SentenceTransformer, options: Options, seed: int) -> tuple[Candidates, Candidates]:
    """Candidates for positives and for negatives of each text, with both similarities."""
    import torch

    from nearfar.mining import jaccard, levenshtein, mine
    from nearfar.models.encoding import encode

    surface = levenshtein(texts) if options.surface == "levenshtein" else jaccard(texts, options.surface == "idf")
    vectors = torch.from_numpy(encode(teacher, texts, max_length=options.max_length or None)).to(teacher.device)
    counts = options.positives, options.negatives, options.random_negatives
    return mine(texts, vectors, surface, *counts, generator=torch.Generator().manual_seed(seed))


def pairs(texts: list[str], candidates: tuple[Candidates, Candidates], options: Options, seed: int) -> Dataset:
    """Anchor, positive and negatives, drawn by inverse propensity."""
    from nearfar.mining import drawn_pairs, negative_log_weights, positive_log_weights

    near, far = candidates
    positive, negative = (options.a, options.b, options.clip), (options.a_negative, options.b_negative, options.clip)
    towards = positive_log_weights(near.semantic, near.surface, *positive)
    away = negative_log_weights(far.semantic, far.surface, *negative, options.t_fn)
    return drawn_pairs(texts, near, towards, far, away, options.hard_negatives, options.draws, seed)


RECIPE = Recipe("debcse", {"rows": ("sentences",)}, Options, prepare)
