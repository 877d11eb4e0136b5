"""CLIP with a strong recipe: augmented views, two heads, label smoothing; after it, other losses add nothing.

Fini, Astolfi, Romero-Soriano, Verbeek, Drozdzal 2023, Improved baselines for vision-language pre-training (TMLR 2023,
arXiv 2305.08675).

Claim: losses without negatives (SiamLIP, BYOLIP, BarLIP, SwALIP) beat a basic CLIP, but not a CLIP that is trained as
well as they are. Most of the gain comes from the views of images and texts.

    weak view z (linear head), K strong views h (deep head) of the image i and of the text t
    loss = (L(z_i, z_t) + K mean_kl L_smooth(h_i^k, h_t^l)) / (1 + K),   L: CLIP's loss, both directions averaged
    similarity = share cos(z, z') + (1 - share) cos(h, h')

`views=0` is CLIP with weak views. `extra` adds one of the other losses.

Differences from the paper: pre-trained towers may be used. The learning rate falls linearly to 0, and weight decay
reaches all weights. An image has one text. Synonyms need a file; without one, words are swapped or deleted. In the
similarity, vectors are divided by the mean length of their head, so that the saved model consists of ordinary layers;
`share` 0 and 1 are exact. Layers are narrower, and audio has views, too. Their tables could not be verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nearfar.errors import InputError
from nearfar.kinds.options import Count, Fraction, Positive, Probability, TowerOptions, Whole
from nearfar.recipes import Plan, Recipe, RowViews, Stage

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.data.paired_views import PairedViews


@dataclass(frozen=True)
class Options(TowerOptions):
    """Hyper-parameters of the strong recipe.

    Args:
        pretrained_rate: Factor of `learning_rate` for pre-trained towers.
        views: K, the number of strong views of each image and each text; 0: CLIP with the linear head alone.
        augment: What is augmented; the number of views and the heads are the same in each case.
        weak_scale, strong_scale: Least fraction of an image's area in a weak and in a strong view.
        flip: Probability that a strong view of an image is mirrored; 0 for letters and digits.
        stop_words: Probability that a view of a text has no stop words (English).
        synonyms: A text file with a group of synonyms in each line, separated by commas.
        text_dropout: Dropout of the text tower for strong views; weak views have none.
        label_smoothing: Label smoothing of the strong views; `extra=swav` requires 0.
        temperature, strong_temperature: Start of both temperatures, which are trained.
        total: Whether the directions from images and from texts are averaged or added.
        dims, hidden: Dimensions of each head, and of the hidden layers of the deep ones and of `extra`.
        share: Weight of the linear head in the similarity of the trained model.
        extra: A loss without negatives that is added.
        extra_dims: Dimensions of its projectors; 0: 1024 for `barlow`, otherwise 128.
    """

    epochs: float = 10.0
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    workers: Whole = 2
    pretrained_rate: Positive = 0.05
    views: Whole = 2
    augment: Literal["both", "files", "texts", "none"] = "both"
    weak_scale: Fraction = 0.5
    strong_scale: Fraction = 0.08
    flip: Fraction = 0.5
    stop_words: Fraction = 0.8
    synonyms: str | None = None
    text_dropout: Probability = 0.1
    label_smoothing: Probability = 0.1
    temperature: Positive = 0.07
    strong_temperature: Positive = 0.1
    total: Literal["mean", "sum"] = "mean"
    dims: Count = 256
    hidden: Count = 1024
    share: Fraction = 0.5
    extra: Literal["none", "siam", "byol", "barlow", "swav"] = "none"
    extra_dims: Whole = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.extra == "swav" and (self.views < 2 or self.label_smoothing):
            problem = "requires views=2 or more, and label_smoothing=0"
            raise InputError(problem, field="extra", remedy="set both, and compare with the same")


def prepare(model: SentenceTransformer, rows: Dataset, options: Options) -> Plan:
    """Give the model its towers, and views to its rows."""
    from nearfar.data.audio_views import AudioViews
    from nearfar.data.image_views import ImageViews
    from nearfar.data.media import medium_in
    from nearfar.data.paired_views import PairedViews
    from nearfar.data.text_views import TextViews, read_synonyms
    from nearfar.models.towers.reading import input_size, reader_for

    medium = medium_in(rows.column_names)
    assert medium is not None
    new = options.begins_untrained(model, medium)
    options.add_tower(model, medium)
    files: Any = AudioViews()
    if medium == "image":
        files = ImageViews(input_size(model), options.weak_scale, options.strong_scale, options.flip)
    texts = TextViews(options.stop_words, read_synonyms(options.synonyms))
    views = PairedViews(reader_for(model, medium), files, texts, options.views, options.augment)
    slow = {rf"sub_modules\.{name}\.": options.pretrained_rate for name in ("text", *(() if new else (medium,)))}
    return with_views(model, rows, views, options, slow)


def with_views(model: SentenceTransformer, rows: Dataset, views: PairedViews, options: Options, rates: Any) -> Plan:
    """Train a model with two towers on given views of its rows."""
    from nearfar.data.media import undecoded
    from nearfar.kinds.two_towers import TwoTowers
    from nearfar.losses.non_contrastive import term_of
    from nearfar.losses.views import ViewsLoss
    from nearfar.models.towers.heads import add_heads, save_mixed

    heads = add_heads(model, options.dims, options.hidden, options.share if options.views else 1.0)
    tau, scale = (options.temperature, options.strong_temperature), 2.0 if options.total == "sum" else 1.0
    term = term_of(options.extra, model, heads, options.extra_dims, options.text_dropout)
    loss = ViewsLoss(model, tau, options.label_smoothing, options.text_dropout, scale, term)
    made = RowViews(views, views.columns)
    stage = Stage(undecoded(rows, views.reader.medium), loss, batches="shuffled", learning_rates=rates, views=made)
    return Plan(TwoTowers(model, save_mixed), stage)


RECIPE = Recipe("vlp_baselines", {"rows": ("image + text", "audio + text")}, Options, prepare)
