"""DefSent+: a definition is to find its entry among all entries of a dictionary.

Liu 2024, DefSent+: Improving sentence embeddings of language models by projecting definition sentences into a
quasi-isotropic or isotropic vector space of unlimited dictionary entries (arXiv 2405.16153). It follows
Tsukagoshi, Sasano, Takeda 2021, DefSent: Sentence Embeddings using Definition Sentences (ACL 2021).

Claim: DefSent predicts a word from its definition against the model's own word embeddings, so an entry must be one
token and the space of targets is what it is. Entries made of their definitions may be anything, and can be made again
by the better encoder; sentence similarity improves over DefSent, and over encoders that are good already.

    E_e = mean_j pool(F(d_ej))                                        the bank: an entry is the mean of its definitions
    loss_i = logsumexp_e( v_i . E_e ) - v_i . E_entry(i),   v = act(W pool(F(d_i)) + b)
    F_k = train(F_0, bank by F_(k-1)),   k = 1 .. stages

Progressive: each stage's bank is made by the encoder of the stage before. Separate: each stage starts from the weights
that the model came with. W, b are a copy of the model's pooler, trained with it and dropped; the bank is frozen and the
dot product is taken as it is. `isotropy` whitens the last stage's bank and multiplies it by `scale`.

Here: no entry but its definitions is read. A shift of the whole bank changes neither loss nor gradient, so whitening
acts by turning and stretching alone. The last layer normalisation of a BERT leaves its vectors short of a dimension (of
384 in all-MiniLM-L6-v2 they fill 381); whitening keeps such ones at 0, where the authors' has rounding to stretch.
Definitions are cut at `max_length`, which the authors' code does not do; a definition that two entries share stays an
example of both, but not in one batch. Learning rates for plain BERT are not published: 1e-5 is ours. For RoBERTa the
authors take the dense layer of its language-modelling head and GELU, here the pooler as it is loaded; a model without a
pooler gets an identity that learns. AdamW's epsilon is transformers' 1e-8 (theirs: 1e-6). Reading a sentence at the
mask of a prompt is left out: a model saved so would load nowhere else. `targets="words"` is DefSent, with the same
projection and not the frozen language-modelling head, which text encoders do not carry; it makes one stage. The
authors' figures for DefSent+ could not be verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Count, Positive, TrainingOptions
from nearfar.kinds.plan import Plan, Stage
from nearfar.recipes._recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of DefSent+.

    Args:
        stages: Times the bank is made and the model trained; the paper: 3 for BERT, 1 or 2 for trained encoders.
        pooling: Makes a sentence's vector, in training and in the saved model; `own`: as the model comes.
        entry_pooling: Makes the vectors of the bank; `own`: as for sentences.
        isotropy: What is done to the last stage's bank; the paper: `ica` for BERT, else `none`. `pca` is cheap.
        scale: Factor after whitening; the larger, the harder the softmax.
        targets: `definitions`: DefSent+. `words`: DefSent, entries of one token alone, in one stage.
    """

    batch_size: int = 32
    learning_rate: float = 1e-5
    warmup_ratio: float = 0.0
    stages: Count = 2
    pooling: Literal["own", "cls", "mean", "max"] = "own"
    entry_pooling: Literal["own", "cls", "mean"] = "own"
    isotropy: Literal["none", "ica", "pca"] = "none"
    scale: Positive = 100.0
    targets: Literal["definitions", "words"] = "definitions"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.targets == "words" and self.isotropy != "none":
            raise InputError("word embeddings stay as they are", field="isotropy", remedy="leave it or targets out")


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """The first stage; each further one starts again with a bank by the model that the last one trained."""
    import torch

    from nearfar.data.dictionary import with_entry_labels
    from nearfar.losses.prototypes import PrototypeLoss, text_prototypes, word_prototypes
    from nearfar.models.pooling import pooling_of, set_pooling
    from nearfar.models.projection import pooler_projection
    from nearfar.models.whitening import check_enough, whitened

    rows, entries = with_entry_labels(rows)
    set_pooling(model, options.pooling)
    pooling = pooling_of(model)

    def against(bank: torch.Tensor) -> PrototypeLoss:
        projection = pooler_projection(model, pooling.get_embedding_dimension(), bank.shape[1])
        return PrototypeLoss(model, bank, pooling, projection)

    if options.targets == "words":
        rows, bank = word_prototypes(model, rows, entries)
        return Plan(model, Stage(rows, against(bank)))

    entry_pooling = pooling_of(model, options.entry_pooling)
    if options.isotropy != "none":
        check_enough(len(entries), entry_pooling.get_embedding_dimension())
    start = {name: weights.detach().to("cpu", copy=True) for name, weights in model.state_dict().items()}

    def stages() -> Iterator[Stage]:
        for number in range(1, options.stages + 1):
            bank = text_prototypes(model, entry_pooling, rows["definition"], rows["label"], options.max_length)
            if number == options.stages and options.isotropy != "none":
                bank = torch.from_numpy(whitened(bank.numpy(), options.isotropy) * options.scale).float()
            model.load_state_dict(start)
            yield Stage(rows, against(bank))

    # Only the last stage has a bank that is whitened.
    return Plan(model, stages(), options.stages, grows="stages" if options.isotropy == "none" else None)


RECIPE = Recipe("defsent_plus", {"rows": ("dictionary",)}, Options, prepare)
