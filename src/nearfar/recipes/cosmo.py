"""COSMO: a language model that writes about images and finds them; its lower half gives vectors of texts.

Wang, Li, Lin, Wang, Lin, Yang, Wang, Shou 2024, COSMO: COntrastive Streamlined MultimOdal Model with Interleaved
Pre-Training (arXiv 2401.00849).

Claim: models that read images with a frozen language model write well, but have no vectors to compare. With the
language model split in two, its lower half alone gives a vector of a text; a contrastive loss with the vectors of
images costs little, makes few and narrow cross-attention layers in the upper half enough, and improves what is written.

    v_j   mean over an image's patches, by a resampler whose first latent is the image's summary
    t_i   a learned query over the states of the lower half, which sees no image
    L     = L_lm + w L_con,   L_con = ( CE(S) + CE(S^T) ) / 2,   S_ij = exp(theta) cos(t_i, v_j)

Only images with one caption have L_con; the language model and the vision tower are frozen. Near is an image's own
caption, far are all others of the batch but equal ones.

Differences from the paper and its code: vectors of texts come from the layer at the split, theirs from one below, and
without padding; equal captions are no negatives, which their code intends. An image's place among the tokens has a
trained embedding instead of a new token, and the end-of-text token ends what belongs to an image. Documents with more
images are cut into pieces of `max_images` each; theirs is a window around an image. A vision tower with new weights is
trained. Not here: videos, and the weights of kinds of data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from nearfar.kinds.options import Count, Fraction, LanguageOptions, NonNegative, Positive, Range, Whole
from nearfar.recipes import Plan, Recipe, Stage

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from nearfar.kinds.causal import CausalLM
    from nearfar.kinds.vision_language import VisionLanguageLM


@dataclass(frozen=True)
class Options(LanguageOptions):
    """Hyper-parameters of COSMO. The shape of the new layers is that of a model that has them already.

    Args:
        contrast_weight: w, the weight of the contrastive loss.
        split: U, layers of the language model that see no image; 0: half of them.
        interval: A cross-attention before every so many layers from there on.
        compress: r, by which cross-attention is narrower than in Flamingo.
        latents: Vectors of an image that the language model reads.
        resampler_layers: Layers of the resampler.
        heads: Heads of all new attention, 64 wide.
        dims: Dimensions of the vectors of texts and images.
        log_scale: theta at first; 2.66 is CLIP's temperature of 0.07, which finds better and writes worse.
        latest_only: A token sees only the latest image before it, or all images before it.
        image_model: Vision tower: a folder, a Hub ID, `small-cnn` or `small-vit`.
        image_size: Width and height of images in pixels, for the small towers.
        max_images: Images in one piece of a document.
    """

    epochs: Positive = 10.0
    batch_size: Annotated[int, Range(least=2)] = 64
    learning_rate: Positive = 5e-4
    max_length: Annotated[int, Range(least=2)] = 128
    schedule: Literal["cosine", "linear"] = "cosine"
    held_out: Fraction = 0.0
    contrast_weight: NonNegative = 1.0
    split: Whole = 0
    interval: Count = 2
    compress: Count = 2
    latents: Count = 64
    resampler_layers: Count = 6
    heads: Count = 8
    dims: Count = 512
    log_scale: float = 0.2
    latest_only: bool = True
    image_model: str = "small-vit"
    image_size: Count = 64
    max_images: Count = 3


def prepare(model: CausalLM | VisionLanguageLM, rows: Dataset | DatasetDict, options: Options) -> Plan:
    """Give the language model the new layers, unless it has them, and train these."""
    from nearfar.kinds.vision_language import VisionLanguageLM
    from nearfar.losses.captioning import CaptioningLoss
    from nearfar.models.vision_language.rows import documents

    reads = model if isinstance(model, VisionLanguageLM) else _reading(model, options)
    reads.configure(options)
    loss = CaptioningLoss(options.contrast_weight)
    return Plan(reads, Stage(documents(rows, options.max_images), loss, batches="shuffled"))


def _reading(model: CausalLM, options: Options) -> VisionLanguageLM:
    from nearfar.kinds.vision_language import VisionLanguageLM
    from nearfar.models.blocks import number_of_layers
    from nearfar.models.towers.named import SMALL, media_tower
    from nearfar.models.vision_language.model import Shape, VisionLanguageModel

    shape = Shape(
        split=options.split or number_of_layers(model.model) // 2,
        interval=options.interval,
        compress=options.compress,
        latents=options.latents,
        depth=options.resampler_layers,
        heads=options.heads,
        dims=options.dims,
        log_scale=options.log_scale,
        latest_only=options.latest_only,
    )
    vision = media_tower(options.image_model, "image", image_size=options.image_size)[0]
    new = options.image_model in SMALL["image"]
    return VisionLanguageLM(VisionLanguageModel(model.model, vision, shape, train_vision=new), model)


RECIPE = Recipe(
    "cosmo",
    {"rows": ("image + text", "interleaved")},
    Options,
    prepare,
    trains=("causal LM", "vision-language LM"),
    model=None,
    multi_dataset=True,
)
