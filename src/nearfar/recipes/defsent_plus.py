"""DefSent+: the task is to find the entry of a definition among all entries of a dictionary.

Liu 2024, DefSent+: Improving sentence embeddings of language models by projecting definition sentences into a
quasi-isotropic or isotropic vector space of unlimited dictionary entries (arXiv 2405.16153). It follows
Tsukagoshi, Sasano, Takeda 2021, DefSent: Sentence Embeddings using Definition Sentences (ACL 2021).

Claim: DefSent predicts a word from its definition with the model's own word embeddings, so an entry must be one token,
and the space of targets is fixed. Entries that are made of their definitions have no such limit, and the improved
encoder can make them again. Sentence similarity improves over DefSent, and over encoders that are already good.

    E_e = mean_j pool(F(d_ej))                                        the bank: an entry is the mean of its definitions
    loss_i = logsumexp_e( v_i . E_e ) - v_i . E_entry(i),   v = act(W pool(F(d_i)) + b)
    F_k = train(F_0, bank by F_(k-1)),   k = 1 .. stages

The encoder of each stage makes the bank of the next, but each stage trains from the original weights. W, b are a copy
of the model's pooler, trained with the model and then discarded. The bank is frozen, with dot products as similarity.
`isotropy` whitens the bank of the last stage and multiplies it by `scale`.

Differences from the paper: entries are represented by their definitions only. BERT's last layer normalization leaves
its vectors short of a dimension (those of all-MiniLM-L6-v2 have rank 381 of 384); whitening keeps such dimensions at 0,
where the authors' stretches rounding errors. Definitions are truncated at `max_length`, which their code does not do.
A definition of two entries is an example of both, in different batches. Their learning rates for plain BERT are not
published: 1e-5 is ours. For RoBERTa they use the dense layer and GELU of its language-modelling head, here the pooler;
a model without a pooler gets an identity that is trained. AdamW's epsilon is 1e-8 (theirs: 1e-6). Prompts with a mask
are missing, because the saved model would not load elsewhere. `targets="words"` is DefSent in one stage, with the same
projection in place of the language-modelling head. The figures for DefSent+ could not be verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Count, Positive, TrainingOptions
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True)
class Options(TrainingOptions):
    """Hyper-parameters of DefSent+.

    Args:
        stages: Number of banks, each followed by training; the paper: 3 for BERT, 1 or 2 for trained encoders.
        pooling: Pooling of sentences, in training and in the saved model; `own`: that of the model.
        entry_pooling: Pooling of definitions for the bank; `own`: as for sentences.
        isotropy: Whitening of the last stage's bank; the paper: `ica` for BERT, else `none`. `pca` is fast.
        scale: Factor after whitening; a larger one makes the softmax harder.
        targets: `definitions`: DefSent+. `words`: DefSent, with entries of one token only, in one stage.
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
            problem = f"expected none with targets=words, got {self.isotropy}"
            raise InputError(problem, field="isotropy", remedy="remove isotropy or targets")


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """One stage for each bank; the banks of later stages are made when the stage before has been trained."""
    import torch

    from nearfar.data.dictionary import with_entry_labels
    from nearfar.losses.prototypes import PrototypeLoss, text_prototypes, word_prototypes
    from nearfar.models.pooling import pooling_of, set_pooling
    from nearfar.models.projection import pooler_projection
    from nearfar.models.whitening import check_enough, whitened

    rows, entries = with_entry_labels(rows)
    set_pooling(model, options.pooling)
    pooling, entry_pooling = pooling_of(model), pooling_of(model, options.entry_pooling)

    def against(bank: torch.Tensor) -> PrototypeLoss:
        projection = pooler_projection(model, pooling.get_embedding_dimension(), bank.shape[1])
        return PrototypeLoss(model, bank, pooling, projection)

    if options.targets == "words":
        rows, bank = word_prototypes(model, rows, entries)
        return Plan(model, Stage(rows, against(bank)))
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
