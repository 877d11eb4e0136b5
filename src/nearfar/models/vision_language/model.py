"""A language model that reads images: a frozen vision tower and language model, and new layers between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nearfar.errors import InputError
from nearfar.models.blocks import blocks_of
from nearfar.models.vision_language.attention import GatedCrossAttention, Resampler, TextPooling
from nearfar.models.vision_language.places import IMAGE, images_before, visible

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["Output", "Shape", "VisionLanguageModel"]


@dataclass(frozen=True)
class Shape:
    """Sizes of the new layers.

    Args:
        split: U: layers of the language model before the first that reads images; vectors of texts come from there.
        interval: A cross-attention before every so many layers from there on.
        compress: r, by which cross-attention is narrower.
        latents: Vectors of an image that the language model reads.
        depth: Layers of the resampler.
        heads, head_width: Heads of all attention, and their width.
        dims: Dimensions of the vectors of texts and images.
        log_scale: theta at first: similarities are multiplied by exp(theta).
        latest_only: A token sees only the latest image before it.
    """

    split: int
    interval: int = 2
    compress: int = 2
    latents: int = 64
    depth: int = 6
    heads: int = 8
    head_width: int = 64
    dims: int = 512
    log_scale: float = 0.2
    latest_only: bool = True


class Output(NamedTuple):
    """What a batch of documents gives.

    Args:
        logits: Of the next token.
        texts: Vectors of the documents' texts; unit length.
        images: Vectors of the documents' images, of several their mean; unit length.
        scale: exp(theta).
    """

    logits: Float[Tensor, "b t v"]
    texts: Float[Tensor, "b d"]
    images: Float[Tensor, "b d"]
    scale: Float[Tensor, ""]


class _Seen(NamedTuple):
    """What the cross-attention layers read while a batch is computed."""

    media: Float[Tensor, "b s e"]
    allowed: Bool[Tensor, "b t s"]


class VisionLanguageModel(nn.Module):
    """The model. Vision tower and language model are frozen; the new layers are trained.

    Args:
        language: A causal language model of transformers.
        vision: A module of sentence-transformers that gives a vector for each patch of an image.
        shape: Sizes of the new layers.
        train_vision: Train the vision tower too: one with new weights knows nothing.

    Raises:
        InputError: The layers of the language model cannot be found, or `split` is not below their number.
    """

    # Read by the trainer of transformers after a checkpoint was loaded.
    _keys_to_ignore_on_save = None

    def __init__(self, language: Any, vision: Any, shape: Shape, *, train_vision: bool = False) -> None:
        super().__init__()
        blocks = blocks_of(language)
        if blocks is None:
            raise InputError(f"{type(language).__name__} has no layers that could be found", field="model")
        if not 1 <= shape.split < len(blocks):
            problem = f"invalid value {shape.split}: must be 1 to {len(blocks) - 1}, below the number of layers"
            raise InputError(problem, field="split")
        self.language, self.vision, self.shape = language, vision, shape
        self.train_vision = train_vision
        width, media = language.get_input_embeddings().weight.shape[1], vision.get_embedding_dimension()
        heads = (shape.heads, shape.head_width)
        self.image_place = nn.Parameter(language.get_input_embeddings().weight.detach().float().mean(0))
        self.resampler = Resampler(media, shape.latents, shape.depth, *heads)
        self.cross = nn.ModuleDict(
            {
                str(number): GatedCrossAttention(width, media, *heads, shape.compress)
                for number in range(shape.split, len(blocks), shape.interval)
            }
        )
        self.pooling = TextPooling(width, *heads)
        self.project_text = nn.Linear(width, shape.dims, bias=False)
        self.project_image = nn.Linear(media, shape.dims, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(shape.log_scale))
        self._seen: _Seen | None = None
        self._lower: Tensor | None = None
        self.to(language.device)
        for frozen in self._frozen():
            frozen.requires_grad_(False)
        for number, block in enumerate(blocks):
            block.register_forward_pre_hook(self._before(number), with_kwargs=True)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.log_scale.device

    @property
    def config(self) -> Any:
        """The configuration of the language model."""
        return self.language.config

    def get_input_embeddings(self) -> nn.Module:
        """Those of the language model."""
        return self.language.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module | None:
        """The head of the language model."""
        return self.language.get_output_embeddings()

    def train(self, mode: bool = True) -> VisionLanguageModel:
        """Frozen parts stay in evaluation mode."""
        super().train(mode)
        for frozen in self._frozen():
            frozen.eval()
        return self

    def state_dict(self, *args: Any, **keywords: Any) -> dict[str, Any]:
        """The tensors that are trained: what is frozen is in files of its own, and need not be in checkpoints."""
        return {
            name: value for name, value in super().state_dict(*args, **keywords).items() if not self._is_frozen(name)
        }

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load what `state_dict` gave."""
        found = super().load_state_dict(state_dict, strict=False, assign=assign)
        found.missing_keys[:] = [name for name in found.missing_keys if not self._is_frozen(name)]
        if strict and (found.missing_keys or found.unexpected_keys):
            raise RuntimeError(f"missing: {found.missing_keys}, unexpected: {found.unexpected_keys}")
        return found

    def forward(
        self,
        input_ids: Int[Tensor, "b t"],
        attention_mask: Int[Tensor, "b t"],
        places: Int[Tensor, "b n"],
        images: Mapping[str, Any] | None,
    ) -> Output:
        """A batch of documents.

        Args:
            input_ids: Tokens, `IMAGE` for an image.
            attention_mask: 0 for padding.
            places: For each place of a document, its image in `images`; -1 where there is none.
            images: Features of all images, from the vision tower's `preprocess`; None: there are none.
        """
        latents = self.latents(images)
        with self.seeing(input_ids, places, latents):
            logits = self.language(
                inputs_embeds=self.embedded(input_ids), attention_mask=attention_mask, use_cache=False
            ).logits
        assert self._lower is not None
        texts = self._text_vectors(self._lower, attention_mask)
        self._lower = None
        return Output(logits, texts, self.image_vectors(latents, places), self.log_scale.exp())

    def latents(self, images: Mapping[str, Any] | None) -> Float[Tensor, "n 1+l e"]:
        """The resampled vectors of each image; the first summarises it."""
        if images is None:
            return self.resampler.latents.new_zeros(0, *self.resampler.latents.shape)
        with torch.set_grad_enabled(self.train_vision and torch.is_grad_enabled()):
            patches = self.vision(dict(images))["token_embeddings"]
        return self.resampler(patches)

    def image_vectors(self, latents: Float[Tensor, "n 1+l e"], places: Int[Tensor, "b n"]) -> Float[Tensor, "b d"]:
        """The unit vector of each document's images; zero for a document without any."""
        summaries = torch.cat([latents[:, 0], latents.new_zeros(1, latents.shape[2])])
        exist = (places >= 0)[..., None]
        mean = summaries[places].sum(1) / exist.sum(1).clamp(min=1)
        return F.normalize(self.project_image(mean), dim=-1)

    def encode_texts(self, input_ids: Int[Tensor, "b t"], attention_mask: Int[Tensor, "b t"]) -> Float[Tensor, "b d"]:
        """The unit vector of each text, by the lower layers alone."""
        decoder = self.language.get_decoder()
        blocks = blocks_of(self.language)
        assert blocks is not None
        name = next(name for name, each in decoder.named_children() if each is blocks)
        # One layer more: what it gets is what is needed.
        setattr(decoder, name, blocks[: self.shape.split + 1])
        try:
            decoder(inputs_embeds=self.embedded(input_ids), attention_mask=attention_mask, use_cache=False)
        finally:
            setattr(decoder, name, blocks)
        assert self._lower is not None
        found = self._text_vectors(self._lower, attention_mask)
        self._lower = None
        return found

    def embedded(self, input_ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
        """The embeddings of tokens; an image's place has one of its own, whatever the image."""
        found = self.language.get_input_embeddings()(input_ids.clamp(min=0))
        return torch.where((input_ids == IMAGE)[..., None], self.image_place.to(found.dtype), found)

    @contextmanager
    def seeing(
        self, input_ids: Int[Tensor, "b t"], places: Int[Tensor, "b n"], latents: Float[Tensor, "m 1+l e"]
    ) -> Iterator[None]:
        """Inside, the language model sees the images of a batch of documents, and in later steps what their last token
        sees."""
        none = latents.new_zeros(1, *latents.shape[1:])
        media = torch.cat([latents, none])[places][:, :, 1:]
        allowed = visible(images_before(input_ids), places >= 0, latest_only=self.shape.latest_only)
        each = media.shape[2]
        self._seen = _Seen(media.flatten(1, 2), allowed.repeat_interleave(each, -1))
        try:
            yield
        finally:
            self._seen = None

    def _frozen(self) -> list[nn.Module]:
        return [self.language] if self.train_vision else [self.language, self.vision]

    def _is_frozen(self, name: str) -> bool:
        return name.startswith("language.") or (name.startswith("vision.") and not self.train_vision)

    def _text_vectors(self, states: Tensor, mask: Tensor) -> Float[Tensor, "b d"]:
        return F.normalize(self.project_text(self.pooling(states, mask.bool())), dim=-1)

    def _before(self, number: int) -> Any:
        """A hook that adds what is seen to the input of a layer."""

        def hook(module: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            states = args[0] if args else keywords["hidden_states"]
            if number == self.shape.split:
                self._lower = states
            if self._seen is None or str(number) not in self.cross or not self._seen.media.shape[1]:
                return None
            states = self.cross[str(number)](states, *self._for(states))
            return ((states, *args[1:]), keywords) if args else (args, {**keywords, "hidden_states": states})

        return hook

    def _for(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen, for states of the whole documents or of one more token, and of several beams of each."""
        assert self._seen is not None
        media, allowed = self._seen
        if states.shape[1] != allowed.shape[1]:
            allowed = allowed[:, -1:].expand(-1, states.shape[1], -1)
        beams = len(states) // len(media)
        return media.repeat_interleave(beams, 0), allowed.repeat_interleave(beams, 0)
