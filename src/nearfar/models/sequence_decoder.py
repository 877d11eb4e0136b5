"""A small transformer decoder that writes a text about an audio file from the frames of its encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nearfar.errors import InputError
from nearfar.models.model_files import json_object
from nearfar.models.new_language import new_tokenizer

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["FOLDER", "IGNORED", "DecoderConfig", "SequenceDecoder", "frames_of"]

#: Its folder in a model's folder.
FOLDER = "decoder"
#: Stands for no token in targets.
IGNORED = -100
#: Positions of a new decoder, at least.
_FEWEST = 16


@dataclass(frozen=True)
class DecoderConfig:
    """The shape of a decoder.

    Args:
        width: Number of dimensions of the encoder's frames, and of the decoder.
        vocabulary: Number of tokens.
        layers, heads: Of the transformer.
        positions: Maximum number of tokens of a text, with its end.
        dropout: In training.
    """

    width: int
    vocabulary: int
    layers: int = 2
    heads: int = 4
    positions: int = 128
    dropout: float = 0.1


def frames_of(outputs: Mapping[str, Any]) -> tuple[Float[Tensor, "n t width"], Bool[Tensor, "n t"] | None]:
    """The frames in the outputs of an audio encoder, and which of them are of the audio; None: that is not known."""
    frames, mask = outputs["token_embeddings"], outputs.get("attention_mask")
    return frames, mask.bool() if mask is not None and mask.shape == frames.shape[:2] else None


class SequenceDecoder(nn.Module):
    """A pre-norm transformer decoder with cross-attention to frames; input and output embeddings are tied.

    Args:
        config: Its shape.
        tokenizer: A tokenizer of transformers, whose end token also begins a text.
    """

    def __init__(self, config: DecoderConfig, tokenizer: Any) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.places = nn.Embedding(config.positions, config.width)
        nn.init.normal_(self.tokens.weight, std=config.width**-0.5)
        nn.init.normal_(self.places.weight, std=config.width**-0.5)
        layer = nn.TransformerDecoderLayer(
            config.width, config.heads, 4 * config.width, config.dropout, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerDecoder(layer, config.layers, nn.LayerNorm(config.width))

    @classmethod
    def new(cls, texts: Sequence[str], width: int, vocabulary: int, layers: int) -> SequenceDecoder:
        """A decoder with random weights, and a byte-level BPE learned from texts, which can write any text.

        It has positions for twice the tokens of the longest text.

        Raises:
            InputError: There are fewer tokens than bytes, or the width is not a multiple of the number of heads.
        """
        from datasets import Dataset

        tokenizer = new_tokenizer(Dataset.from_dict({"text": list(texts)}), vocabulary)
        longest = max(len(tokenizer(text)["input_ids"]) for text in texts)
        config = DecoderConfig(width, len(tokenizer), layers, positions=max(_FEWEST, 2 * longest))
        if width % config.heads:
            problem = f"the audio tower has {width}-dimensional frames; expected a multiple of {config.heads}"
            raise InputError(problem, field="audio_model", remedy="use another tower, or decoder_layers=0")
        return cls(config, tokenizer)

    def targets(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of texts with their end, truncated to the decoder's positions, padded with `IGNORED`."""
        end, most = self.tokenizer.eos_token_id, self.config.positions
        found = [[*self.tokenizer(text)["input_ids"][: most - 1], end] for text in texts]
        longest = max(map(len, found))
        return [ids + [IGNORED] * (longest - len(ids)) for ids in found]

    def forward(
        self, frames: Float[Tensor, "n t width"], inputs: Int[Tensor, "n l"], real: Bool[Tensor, "n t"] | None = None
    ) -> Float[Tensor, "n l v"]:
        """The logits of the token after each of `inputs`.

        Args:
            frames: The states of an audio encoder.
            inputs: Tokens.
            real: Which frames are of the audio and not padding, see `frames_of`; None: all.
        """
        length = inputs.shape[1]
        x = self.tokens(inputs) + self.places.weight[:length]
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        padding = None if real is None else ~real
        states = self.layers(x, frames.to(x.dtype), tgt_mask=later, memory_key_padding_mask=padding)
        return F.linear(states, self.tokens.weight)

    def loss(
        self, frames: Float[Tensor, "n t width"], targets: Int[Tensor, "n l"], real: Bool[Tensor, "n t"] | None = None
    ) -> Float[Tensor, ""]:
        """The mean negative log-likelihood of the tokens of `targets`; those that are `IGNORED` do not count."""
        begun = F.pad(targets[:, :-1], (1, 0), value=self.tokenizer.eos_token_id)
        inputs = begun.masked_fill(begun == IGNORED, self.tokenizer.eos_token_id)
        return F.cross_entropy(self(frames, inputs, real).flatten(0, 1), targets.flatten(), ignore_index=IGNORED)

    @torch.no_grad()
    def decode(
        self, frames: Float[Tensor, "n t width"], beams: int = 1, real: Bool[Tensor, "n t"] | None = None
    ) -> list[str]:
        """The most likely text for each item, found by beam search; 1 beam is greedy decoding.

        Finished texts are compared by log-probability / ((5 + length) / 6)^0.6.

        Source: Wu et al. 2016, Google's Neural Machine Translation System, section 7, for the penalty.
        """
        training = self.training
        self.eval()
        if beams == 1:
            found = self._greedy(frames, real)
        else:
            masks = [None] * len(frames) if real is None else list(real)
            found = [self._searched(each, beams, mask) for each, mask in zip(frames, masks, strict=True)]
        self.train(training)
        return found

    def _greedy(self, frames: Float[Tensor, "n t width"], real: Bool[Tensor, "n t"] | None) -> list[str]:
        end = self.tokenizer.eos_token_id
        found = torch.full((len(frames), 1), end, device=frames.device)
        ended = torch.zeros(len(frames), dtype=torch.bool, device=frames.device)
        while found.shape[1] < self.config.positions and not bool(ended.all()):
            token = self(frames, found, real)[:, -1].argmax(1).masked_fill(ended, end)
            found, ended = torch.cat([found, token[:, None]], 1), ended | (token == end)
        return self.tokenizer.batch_decode(found[:, 1:], skip_special_tokens=True)

    def _searched(self, frames: Float[Tensor, "t width"], beams: int, real: Bool[Tensor, " t"] | None) -> str:
        end = self.tokenizer.eos_token_id
        open_, scores = torch.full((1, 1), end, device=frames.device), torch.zeros(1, device=frames.device)
        best: tuple[float, list[int]] = (-torch.inf, [])
        while open_.shape[1] < self.config.positions and len(open_):
            length = open_.shape[1]  # of a text that ends now, with its end
            mask = None if real is None else real.expand(len(open_), -1)
            logits = self(frames.expand(len(open_), -1, -1), open_, mask)[:, -1]
            total = scores[:, None] + logits.float().log_softmax(1)
            top, places = total.flatten().topk(min(beams, total.numel()))
            rows, tokens = places // total.shape[1], places % total.shape[1]
            for score, row in zip(top[tokens == end].tolist(), rows[tokens == end].tolist(), strict=True):
                best = max(best, (score / _penalty(length), open_[row, 1:].tolist()))
            kept = tokens != end
            open_, scores = torch.cat([open_[rows[kept]], tokens[kept, None]], 1), top[kept]
            # Longer texts are less likely, and their penalty is at most that of the longest.
            if len(scores) and float(scores.max()) / _penalty(self.config.positions) < best[0]:
                break
        if best[0] == -torch.inf:  # no text has ended
            best = (0.0, open_[scores.argmax(), 1:].tolist())
        return self.tokenizer.decode(best[1], skip_special_tokens=True)

    def save(self, folder: Path) -> None:
        """Write weights, configuration and tokenizer into a model's folder."""
        place = Path(folder, FOLDER)
        place.mkdir(parents=True, exist_ok=True)
        state = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(state, place / "model.safetensors")
        (place / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n", "utf-8")
        self.tokenizer.save_pretrained(str(place))

    @classmethod
    def load(cls, folder: str | Path) -> SequenceDecoder | None:
        """Load the decoder in a model's folder, in evaluation mode; None if there is none.

        Raises:
            InputError: Its files are corrupted.
        """
        from transformers import PreTrainedTokenizerFast

        place = Path(folder, FOLDER)
        if not place.is_dir():
            return None
        try:
            config = DecoderConfig(**json_object(place / "config.json"))
            found = cls(config, PreTrainedTokenizerFast.from_pretrained(str(place)))
            found.load_state_dict(load_file(place / "model.safetensors"))
        except InputError:
            raise
        except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
            problem = f"the decoder cannot be loaded ({type(error).__name__})"
            raise InputError(problem, file=place, remedy="copy the folder again") from error
        return found.eval()


def _penalty(length: int) -> float:
    return ((5 + length) / 6) ** 0.6
