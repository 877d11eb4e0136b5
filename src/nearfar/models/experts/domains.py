"""An encoder with a feed-forward expert and a token per domain; all other weights are shared.

This is the form for training; `nearfar.models.experts.unrolled` is the saved form.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule, Transformer
from torch import Tensor, nn

from nearfar.errors import InputError
from nearfar.models.experts.layers import Choice, DomainTokens, ExpertLayer, Layers, check_domains, feed_forwards

if TYPE_CHECKING:
    from jaxtyping import Int

__all__ = ["NO_DOMAIN", "DomainExperts", "OnUnknown", "add_domain_experts"]

#: How texts without a domain are handled.
OnUnknown = Literal["mean-of-experts", "error"]

_WEIGHTS = "experts.safetensors"
#: Tasks that `encode_query` and `encode_document` of sentence-transformers pass instead of a domain.
NO_DOMAIN = ("query", "document")


class DomainExperts(InputModule):
    """A transformer with one expert per domain in its feed-forward blocks, and a domain token in place of [CLS].

    The id in the place of [CLS] identifies the domain: it is embedded as the domain's token, and selects the experts.
    So a batch may contain several domains, and can be sorted, divided and padded like any other. At the start, every
    domain gives the vectors of the dense encoder. Gradient checkpointing is not supported, because it would select
    experts too late.

    Args:
        transformer: The dense encoder, which is changed in place.
        domains: Names of the domains; the k-th has expert k.
        layers: Which layers get experts: `"all"`, `"middle"` (only layer L // 2), or `"none"`.
        on_unknown: How texts without a domain are handled: `"mean-of-experts"` uses the mean of the experts' weights
            and of the domain tokens; `"error"` raises an error. The name of an unknown domain is always an error.

    Raises:
        InputError: There are no feed-forward blocks or no [CLS] token, or the names of domains are invalid.
    """

    config_file_name = "domain_experts.json"
    config_keys: list[str] = ["domains", "layers", "on_unknown"]  # noqa: RUF012 - as the base class declares it
    transformer: Transformer

    def __init__(
        self,
        transformer: Transformer,
        domains: Sequence[str],
        layers: Layers = "all",
        on_unknown: OnUnknown = "mean-of-experts",
    ) -> None:
        super().__init__()
        check_domains(domains)
        self.transformer, self.domains, self.layers, self.on_unknown = transformer, list(domains), layers, on_unknown
        self.choice = Choice()
        words, cls = transformer.model.get_input_embeddings(), getattr(transformer.tokenizer, "cls_token_id", None)
        if cls is None or not isinstance(words, nn.Embedding):
            raise InputError(
                "the model's texts do not begin with a [CLS] token, which the domain token replaces",
                field="--model",
                remedy="use an encoder such as BERT, RoBERTa, MPNet or ModernBERT",
            )
        self.cls, self.words = int(cls), words.num_embeddings
        self.places = [] if layers == "none" else feed_forwards(transformer.model, layers)
        for place in self.places:
            block = transformer.model.get_submodule(place)
            _put(transformer.model, place, ExpertLayer(block, len(self.domains), self.choice))
        transformer.model.set_input_embeddings(DomainTokens(words, self.cls, len(self.domains)))

    def with_domain(self, features: dict[str, Any], domain: Int[Tensor, " batch"]) -> dict[str, Any]:
        """The same features, with the [CLS] of each text replaced by the token of its domain.

        Raises:
            ValueError: A text does not begin with [CLS].
        """
        place, token = self._first(features)
        if bool((token != self.cls).any()):
            raise ValueError(f"expected token {self.cls} first in a text, got {token[token != self.cls][0].item()}")
        domain = domain.to(features["input_ids"].device, features["input_ids"].dtype)
        ids = features["input_ids"].scatter(1, place, domain[:, None] + self.words)
        return {**features, "input_ids": ids}

    def preprocess(
        self, inputs: Any, prompt: str | None = None, task: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Tokenize; `task` is the name of the domain of the texts.

        Raises:
            InputError: `task` is not a domain.
        """
        features = dict(self.transformer.preprocess(inputs, prompt=prompt, **kwargs))
        if task is None or (task in NO_DOMAIN and task not in self.domains):
            return features
        if task not in self.domains:
            close = difflib.get_close_matches(task, self.domains, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"choose from {', '.join(self.domains)}"
            raise InputError(f"unknown domain {task!r}", field="task", remedy=remedy)
        return self.with_domain(features, torch.full((len(inputs),), self.domains.index(task)))

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Token embeddings of each text, from the experts of its domain.

        Raises:
            InputError: A text has no domain, and `on_unknown` is `"error"`.
        """
        place, token = self._first(features)
        expert = token - self.words
        if bool((unknown := expert < 0).any()):
            if self.on_unknown == "error":
                raise InputError(
                    "the texts have no domain, which this model requires",
                    field="task",
                    remedy=f"use encode(texts, task=...) with one of {', '.join(self.domains)}; or train with "
                    "on_unknown=mean-of-experts",
                )
            expert = expert.masked_fill(unknown, len(self.domains))
            ids = features["input_ids"].scatter(1, place, (expert + self.words)[:, None])
            features = {**features, "input_ids": ids}
        self.choice.set(expert)
        return self.transformer(features)

    def specialist(self, expert: int) -> Transformer:
        """A copy of one domain's dense encoder, with the domain's token as [CLS]; for N the mean of all."""
        with self._dense(expert) as (transformer, tokens):
            dense = copy.deepcopy(transformer)
        words = dense.model.get_input_embeddings()
        assert isinstance(words, nn.Embedding)
        with torch.no_grad():
            words.weight[self.cls] = tokens.token(expert)
        return dense

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Write the first domain's encoder, and all experts and tokens: everything that a checkpoint needs."""
        with self._dense(0) as (transformer, _):
            transformer.save(output_path)
        self.save_config(output_path)
        save_file(self._added(), Path(output_path, _WEIGHTS))

    @classmethod
    def load(  # type: ignore[override] - the other options go through to the transformer
        cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any
    ) -> DomainExperts:
        """Load the files that `save` wrote."""
        hub = {key: kwargs[key] for key in ("token", "cache_folder", "revision", "local_files_only") if key in kwargs}
        transformer = Transformer.load(model_name_or_path, subfolder=subfolder, **kwargs)
        module = cls(transformer, **cls.load_config(model_name_or_path, subfolder=subfolder, **hub))
        weights = cls.load_file_path(model_name_or_path, _WEIGHTS, subfolder=subfolder, **hub)
        if weights is None or (added := load_file(weights)).keys() != module._added().keys():
            raise InputError(
                f"the experts of {model_name_or_path} are missing, or those of another encoder", file=weights
            )
        module.load_state_dict(added, strict=False)
        return module

    @property
    def tokenizer(self) -> Any:  # type: ignore[override]
        """The tokenizer of the dense encoder, which does not know the domains."""
        return self.transformer.tokenizer

    @property
    def max_seq_length(self) -> int | None:
        """Maximum sequence length in tokens."""
        return self.transformer.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, value: int | None) -> None:
        self.transformer.max_seq_length = value

    def get_embedding_dimension(self) -> int:
        """Number of dimensions of a token embedding."""
        return self.transformer.get_embedding_dimension()

    def _first(self, features: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """The place of the first token of each text (batch, 1) with padding on either side; and the token (batch,)."""
        place = features["attention_mask"].argmax(1, keepdim=True)
        return place, features["input_ids"].gather(1, place)[:, 0]

    def _added(self) -> dict[str, Tensor]:
        """Tensors that the dense encoder does not have, by their names in `state_dict`."""
        ours = tuple(f"{name}.experts." for name, module in self.named_modules() if isinstance(module, ExpertLayer))
        tokens = [f"{name}.tokens" for name, module in self.named_modules() if isinstance(module, DomainTokens)]
        state = self.state_dict()
        return {k: v.detach().cpu().contiguous() for k, v in state.items() if k.startswith(ours) or k in tokens}

    def _tokens(self) -> DomainTokens:
        tokens = self.transformer.model.get_input_embeddings()
        assert isinstance(tokens, DomainTokens)
        return tokens

    @contextmanager
    def _dense(self, expert: int) -> Iterator[tuple[Transformer, DomainTokens]]:
        """The transformer without experts, with the weights of one of them in their places."""
        model, tokens = self.transformer.model, self._tokens()
        layers = {place: model.get_submodule(place) for place in self.places}
        try:
            for place, layer in layers.items():
                assert isinstance(layer, ExpertLayer)
                _put(model, place, layer.block(expert))
            model.set_input_embeddings(tokens.words)
            yield self.transformer, tokens
        finally:
            model.set_input_embeddings(tokens)
            for place, layer in layers.items():
                _put(model, place, layer)


def add_domain_experts(
    encoder: SentenceTransformer,
    domains: Sequence[str],
    layers: Layers = "all",
    on_unknown: OnUnknown = "mean-of-experts",
) -> DomainExperts:
    """Add domain experts to an encoder, in place. See `DomainExperts`.

    Raises:
        InputError: The first module is not a suitable transformer.
    """
    transformer = encoder[0]
    if not isinstance(transformer, Transformer):
        raise InputError(
            f"expected a dense transformer as first module, got {type(transformer).__name__}",
            field="--model",
            remedy="use the dense encoder as base model",
        )
    encoder[0] = experts = DomainExperts(transformer, domains, layers, on_unknown)
    return experts


def _put(model: nn.Module, place: str, module: nn.Module) -> None:
    parent, _, child = place.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
