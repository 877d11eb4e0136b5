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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import TrainingOptions
from nearfar.recipes._recipe import Paper, Plan, Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.mining import Candidates


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
    temperature: float = 0.05
    dropout: float = 0.1
    teacher: str | None = None
    surface: Literal["jaccard", "idf", "levenshtein"] = "jaccard"
    a: float = 4.0
    b: float = 1.0
    a_negative: float = 1.0
    b_negative: float = 1.0
    clip: float = 0.1
    t_fn: float = 0.75
    positives: int = 20
    negatives: int = 180
    random_negatives: int = 20
    hard_negatives: int = 1
    draws: int = 1
    rounds: int = 1
    cached: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (least, most) in _RANGES.items():
            if not least <= (value := getattr(self, name)) <= most:
                raise InputError(f"{value} is out of range", field=name, remedy=f"use {least:g} to {most:g}")


_RANGES = {
    **dict.fromkeys(("a", "b", "a_negative", "b_negative"), (0, 100)),
    **dict.fromkeys(("clip", "t_fn"), (1e-3, 1)),
    **dict.fromkeys(("positives", "negatives", "random_negatives"), (0, 10_000)),
    **dict.fromkeys(("hard_negatives", "draws", "rounds"), (1, 100)),
}


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Mine candidates by the teacher and draw the pairs to train on; then, if asked, again by the trained model."""
    import torch

    from nearfar.losses import ContrastLoss
    from nearfar.models import load
    from nearfar.models.dropout import set_dropout

    set_dropout(model, options.dropout)
    texts, seed = list(rows["text"]), int(torch.randint(2**31, ()))
    loss = ContrastLoss(model, temperature=options.temperature, cached=options.cached, gather_across_devices=True)

    def taught(teacher: SentenceTransformer, number: int) -> Plan:
        drawn = pairs(texts, mined(texts, teacher, options, seed + number), options, seed + number)
        return Plan(drawn, loss, then=(lambda: taught(model, number + 1)) if number < options.rounds else None)

    return taught(model if options.teacher is None else load(options.teacher), 1)


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


RECIPE = Recipe(
    name="debcse",
    summary="sentences alone: pairs drawn by inverse propensity, so that shared words do not decide",
    idea=(
        "A teacher draws the pairs before training: a positive means the same in other words, a negative has the same "
        "words and means something else. Each is drawn by what it means, weighed against the share of words that would "
        "draw it anyway (inverse propensity). Of the pairs drawn the own positive is near, and all other texts of the "
        "batch are far."
    ),
    use_when=(
        "You have sentences without labels and an encoder that is good enough to teach, and shared words mislead what "
        "you have."
    ),
    paper=Paper(
        "DebCSE: Rethinking Unsupervised Contrastive Sentence Embedding Learning in the Debiasing Perspective",
        "Miao, Du, Li",
        2023,
        "https://arxiv.org/abs/2309.07396",
    ),
    task="sentences without labels",
    schemas=("sentences",),
    options=Options,
    prepare=prepare,
)
