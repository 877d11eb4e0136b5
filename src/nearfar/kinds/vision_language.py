"""The vision-language model: a frozen language model that reads images, writes about them and finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nearfar.kinds._by_rows import ByRows
from nearfar.kinds.causal import CausalLM
from nearfar.models.abilities import Describes, Encodes, EncodesMedia, Generates, Predicts

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float, Int
    from torch import Tensor

    from nearfar.data.media import Medium
    from nearfar.kinds.options import TrainingOptions
    from nearfar.models.vision_language.documents import Document, Part
    from nearfar.models.vision_language.model import VisionLanguageModel

__all__ = ["VisionLanguageLM"]

#: Tokens of a document, unless the model was trained with another length.
MOST_TOKENS = 128


class VisionLanguageLM(ByRows, Encodes, EncodesMedia, Predicts, Generates, Describes):
    """A language model that reads images. It has all abilities but the scoring of pairs of texts.

    The column `parts` of a stage's rows (texts and images in turn), and all other columns, reach the loss as a batch
    for `VisionLanguageModel.forward`.

    Args:
        model: The model; trained in place.
        language: The language model inside it, with its tokenizer.
    """

    name: ClassVar[str] = "vision-language LM"
    words: ClassVar[str] = "a vision-language model"
    library: ClassVar[str] = "nearfar"
    pipeline: ClassVar[str | None] = "image-text-to-text"
    usage: ClassVar[str] = (
        "import nearfar\n\nmodel = nearfar.load(MODEL)\n"
        'model.describe([[{"image": "photo.jpg"}, {"text": "A photo of"}]])'
    )
    predicts: ClassVar[tuple[str, ...]] = ("image", "text")

    def __init__(self, model: VisionLanguageModel, language: CausalLM, max_length: int = MOST_TOKENS) -> None:
        self.model, self.language, self.tokenizer = model, language, language.tokenizer
        self.max_length = max_length

    @classmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> VisionLanguageLM:
        """Load a folder, see `nearfar.models.vision_language.files`."""
        from nearfar.models.kind_files import require_kind
        from nearfar.models.loading import find
        from nearfar.models.vision_language.files import LANGUAGE, load_fusion

        folder = find(name)
        require_kind(folder, cls.name)
        language = CausalLM.load(folder / LANGUAGE, device=device)
        return cls(load_fusion(folder, language.model), language)

    @property
    def host(self) -> VisionLanguageLM:
        """This object itself: model and tokenizer belong together."""
        return self

    @property
    def module(self) -> VisionLanguageModel:
        """The model."""
        return self.model

    @property
    def medium(self) -> Medium:
        """Images."""
        return "image"

    def encode(
        self, texts: Sequence[str], *, batch_size: int = 64, kind: str | None = None
    ) -> Float[np.ndarray, "n d"]:
        """The unit vectors of captions, from the lower half of the language model. `kind` has no effect."""
        import torch

        from nearfar.models.encoding import check_texts, require_finite
        from nearfar.models.vision_language.documents import caption

        check_texts(texts)
        rows = [caption(self.tokenizer, text, self.max_length) for text in texts]
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
        found: list[Tensor] = []
        with torch.inference_mode():
            for start in range(0, len(rows), batch_size):
                tokens, mask = self._padded([rows[row] for row in order[start : start + batch_size]])
                found.append(self.model.eval().encode_texts(tokens, mask).float().cpu())
        vectors = torch.cat(found)[torch.argsort(torch.tensor(order))].numpy()
        require_finite(vectors)
        return vectors

    def encode_media(self, files: Sequence[Any], *, batch_size: int = 64) -> Float[np.ndarray, "n d"]:
        """The unit vectors of images."""
        import torch

        from nearfar.models.encoding import require_finite

        found: list[Tensor] = []
        with torch.inference_mode():
            for start in range(0, len(files), batch_size):
                features = self._features(files[start : start + batch_size])
                latents = self.model.eval().latents(self._placed(features))
                places = torch.arange(len(latents), device=latents.device)[:, None]
                found.append(self.model.image_vectors(latents, places).float().cpu())
        vectors = torch.cat(found).numpy()
        require_finite(vectors)
        return vectors

    def log_probability(
        self, rows: Dataset, *, batch_size: int = 8, progress: Callable[[int, int], None] | None = None
    ) -> Float[np.ndarray, " rows"]:
        """The mean log-probability per token of each caption, given its image, in nats.

        Args:
            rows: Columns `image` and `text`.
            batch_size: Rows in one forward pass.
            progress: Called with (rows done, number of rows).
        """
        import numpy as np
        import torch

        from nearfar.data.media import undecoded
        from nearfar.models.conditional import mean_losses
        from nearfar.models.vision_language.documents import described

        items: list[float] = []
        files, texts = undecoded(rows, "image")["image"][:], rows["text"][:]
        with torch.inference_mode():
            for start in range(0, len(rows), batch_size):
                pairs = zip(files[start : start + batch_size], texts[start : start + batch_size], strict=True)
                batch = self.collate([{"parts": described(image, text)} for image, text in pairs])
                labels = batch.pop("labels").to(self.model.device)
                logits = self.model.eval()(**self._placed(batch)).logits
                items += (-mean_losses(logits[:, :-1], labels[:, 1:]).double()).tolist()
                if progress is not None:
                    progress(len(items), len(rows))
        return np.asarray(items)

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int = 64, batch_size: int = 8) -> list[str]:
        """The greedy continuation of each prompt without an image: what the language model writes."""
        return self.language.generate(prompts, max_new_tokens=max_new_tokens, batch_size=batch_size)

    def describe(
        self, prompts: Sequence[Sequence[Part]], *, max_new_tokens: int = 64, batch_size: int = 8
    ) -> list[str]:
        """See `Describes`."""
        import torch

        from nearfar.models.language import end_tokens, padding_token

        texts: list[str] = []
        for start in range(0, len(prompts), batch_size):
            given, inside = self.generation(prompts[start : start + batch_size])
            with torch.inference_mode(), inside:
                found = self.language_model.generate(
                    **given,
                    do_sample=False,
                    max_new_tokens=max_new_tokens,
                    pad_token_id=padding_token(self.tokenizer),
                    eos_token_id=end_tokens(self.language_model, self.tokenizer) or None,
                )
            texts += self.tokenizer.batch_decode(found, skip_special_tokens=True)
        return texts

    @property
    def language_model(self) -> Any:
        """See `Describes`."""
        return self.language.model.eval()

    def generation(self, prompts: Sequence[Sequence[Part]]) -> tuple[dict[str, Any], AbstractContextManager[None]]:
        """See `Describes`."""
        import torch

        from nearfar.models.vision_language.documents import question

        documents = [question(self.tokenizer, parts) for parts in prompts]
        tokens, mask = self._padded([each.tokens for each in documents], left=True)
        places, images = self._images(documents)
        with torch.no_grad():
            latents = self.model.eval().latents(None if images is None else self._placed(images))
            embedded = self.model.embedded(tokens)
        inside = self.model.seeing(tokens, places.to(tokens.device), latents)
        return {"inputs_embeds": embedded, "attention_mask": mask}, inside

    def prompt_length(self, parts: Sequence[Part]) -> int:
        """See `Describes`."""
        from nearfar.models.vision_language.documents import question

        return len(question(self.tokenizer, parts).tokens)

    def collate(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch of documents (column `parts`) on the CPU: arguments of the model, `labels`, and all other columns."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        from nearfar.kinds._language_trainer import as_batch
        from nearfar.models.answers import IGNORED
        from nearfar.models.vision_language.documents import interleaved

        documents = [interleaved(self.tokenizer, row["parts"], self.max_length) for row in rows]
        tokens = [torch.tensor(each.tokens) for each in documents]
        labels = [torch.tensor(each.labels) for each in documents]
        places, images = self._images(documents)
        others = [{name: value for name, value in row.items() if name != "parts"} for row in rows]
        return {
            **as_batch(others),
            "input_ids": pad_sequence(tokens, batch_first=True),
            "attention_mask": pad_sequence([torch.ones_like(each) for each in tokens], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
            "places": places,
            "images": images,
        }

    def fingerprint(self, name: object) -> str:
        """A hash of all tensors."""
        from nearfar.models.fingerprint import weights_fingerprint

        return weights_fingerprint(self.model)

    def write(self, folder: Path) -> None:
        """See `nearfar.models.vision_language.files`."""
        from nearfar.models.vision_language.files import save_fusion

        save_fusion(self.model, folder, self.language.write)

    def configure(self, options: TrainingOptions) -> None:
        """Truncate documents as in training."""
        self.language.configure(options)
        self.max_length = options.max_length or self.max_length

    def _features(self, files: Sequence[Any]) -> dict[str, Any]:
        """What the vision tower reads of image files, on the CPU."""
        from nearfar.data.media import Reader

        reader = Reader("image")
        return self.model.vision.preprocess([reader.read(file) for file in files])

    def _images(self, documents: Sequence[Document]) -> tuple[Int[Tensor, "b n"], dict[str, Any] | None]:
        """Which image is in which place of each document, and the features of all images."""
        import torch

        most = max(len(each.images) for each in documents)
        places, files = torch.full((len(documents), most), -1), []
        for row, each in enumerate(documents):
            places[row, : len(each.images)] = torch.arange(len(each.images)) + len(files)
            files += each.images
        return places, self._features(files) if files else None

    def _padded(self, rows: Sequence[Sequence[int]], *, left: bool = False) -> tuple[Tensor, Tensor]:
        import torch

        from nearfar.models.conditional import padded

        tokens, mask = padded([torch.tensor(row) for row in rows], 0, self.model.device, left=left)
        return tokens, mask.long()

    def _placed(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A batch on the model's device."""
        from torch import Tensor

        def placed(value: Any) -> Any:
            if isinstance(value, Mapping):
                return self._placed(value)
            return value.to(self.model.device) if isinstance(value, Tensor) else value

        return {name: placed(value) for name, value in batch.items()}
