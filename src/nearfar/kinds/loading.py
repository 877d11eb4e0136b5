"""Finds and loads the kind of a model, by its name or from a model in memory."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from nearfar.errors import InputError
from nearfar.kinds.kind import Kind

__all__ = ["KINDS", "class_of", "kind_named", "load", "load_kind", "load_scorer", "load_vectorizer", "of"]

#: A kind's name, and where its class is: imported when it is needed.
KINDS = {
    "encoder": ("nearfar.kinds.encoder", "Encoder"),
    "two towers": ("nearfar.kinds.two_towers", "TwoTowers"),
    "pair scorer": ("nearfar.kinds.pair_scorer", "PairScorer"),
    "classifier": ("nearfar.kinds.classifier", "Classifier"),
    "reranker": ("nearfar.kinds.reranker", "Reranker"),
    "causal LM": ("nearfar.kinds.causal", "CausalLM"),
    "seq2seq LM": ("nearfar.kinds.seq2seq", "Seq2SeqLM"),
    "vision-language LM": ("nearfar.kinds.vision_language", "VisionLanguageLM"),
}


def kind_named(name: str) -> type[Kind]:
    """The class of a kind.

    Raises:
        ValueError: The kind does not exist.
    """
    if name not in KINDS:
        raise ValueError(f"unknown kind of model {name!r}: expected one of {', '.join(KINDS)}")
    module, attribute = KINDS[name]
    return getattr(import_module(module), attribute)


def class_of(name: str | Path) -> type[Kind]:
    """The kind of the model called `name`, without loading it.

    Raises:
        InputError: there is no such model.
    """
    from nearfar.models.kind_files import kind_of_folder
    from nearfar.models.language import is_gguf
    from nearfar.models.loading import find

    if is_gguf(name):
        return kind_named("causal LM")
    return kind_named(kind_of_folder(find(name)))


def load_kind(name: str | Path, *, device: str | None = None) -> Kind:
    """Load the model called `name` as the kind that it was saved as.

    Raises:
        InputError: The model does not exist, or its files are corrupted.
    """
    return class_of(name).load(name, device=device)


def class_of_scorer(name: str | Path) -> type[Kind]:
    """The kind as which `load_scorer` loads the model called `name`: `class_of`, but a reranker for a causal LM.

    Raises:
        InputError: The model does not exist.
    """
    kind = class_of(name)
    return kind_named("reranker") if kind.name == "causal LM" else kind


def load_scorer(name: str | Path, *, device: str | None = None) -> Any:
    """Load the model called `name` to score pairs of texts: a causal language model answers yes or no to a prompt.

    Returns:
        A model of `nearfar.kinds` with the ability `Scores`.

    Raises:
        InputError: The model does not exist, or cannot score pairs.
    """
    from nearfar.models.abilities import Scores

    kind = class_of_scorer(name)
    if kind is not class_of(name):
        from nearfar.models.yes_no_prompts import set_prompt

        found: Any = kind.load(name, device=device)
        set_prompt(found.model)
        return found
    if not issubclass(kind, Scores):
        problem = f"expected a reranker, got {kind.words}"
        raise InputError(problem, field="model", remedy="use a reranker, or a causal language model")
    return kind.load(name, device=device)


def load_vectorizer(name: str | Path, *, max_length: int | None = None, view: str | None = None) -> Any:
    """Load the model called `name` to encode texts or files, for `nearfar.models.encoding_files`.

    Raises:
        InputError: The model does not exist, returns no vectors, or an option is not for it.
    """
    from nearfar.models.abilities import Encodes
    from nearfar.models.loading import load as load_encoder

    if max_length is None and view is None and issubclass(class_of(name), Encodes):
        return load_kind(name).host
    return load_encoder(name, max_length=max_length, view=view)


def load(
    name: str | Path,
    *,
    device: str | None = None,
    max_length: int | None = None,
    layers: int | None = None,
    dims: int | None = None,
    view: str | None = None,
) -> Any:
    """Load a model of any kind, as it was saved, including its heads.

    Args:
        name: A folder, a Hub ID, or an alias such as `minilm`.
        device: Device of the model, such as `cpu` or `cuda:0`; by default the host library chooses.
        max_length: Maximum sequence length of a text encoder in tokens; longer texts are truncated. By default the
            model's own setting.
        layers: Number of layers to keep, the first ones (text encoders only).
        dims: Number of dimensions to keep, the first ones (text encoders only).
        view: Name of a view, of an encoder that has several, as `nearfar train sepclr` makes them.

    Returns:
        A SentenceTransformer (text encoders, two towers), a CrossEncoder (rerankers), or a
        `nearfar.kinds.pair_scorer.PairScorer`, `nearfar.kinds.classifier.Classifier`, `nearfar.kinds.causal.CausalLM`,
        `nearfar.kinds.seq2seq.Seq2SeqLM`; in evaluation mode.

    Raises:
        InputError: The model does not exist, its weights are corrupted, or an option is for another kind.

    Example:
        >>> load("minilm").encode(["near", "far"]).shape  # doctest: +SKIP
        (2, 384)
        >>> load("runs/dse/model").score([("a dog", "a puppy")])  # doctest: +SKIP
    """
    if max_length is None and layers is None and dims is None and view is None:
        return load_kind(name, device=device).host
    from nearfar.models.kind_files import require_kind
    from nearfar.models.loading import find
    from nearfar.models.loading import load as load_encoder

    require_kind(find(name), "encoder", "two towers")
    return load_encoder(name, device=device, max_length=max_length, layers=layers, dims=dims, view=view)


def of(model: Any) -> Kind:
    """The kind of a model in memory; objects of `nearfar.kinds` are returned as they are.

    Raises:
        InputError: The model is of no known kind.
    """
    if isinstance(model, Kind):
        return model
    from sentence_transformers import CrossEncoder, SentenceTransformer

    if isinstance(model, SentenceTransformer):
        from nearfar.models.towers import medium_of
        from nearfar.models.views import views_of

        if views_of(model):
            from nearfar.kinds.encoder_with_views import EncoderWithViews

            return EncoderWithViews(model)
        return kind_named("encoder" if medium_of(model) is None else "two towers")(model)  # pyright: ignore[reportCallIssue]
    if isinstance(model, CrossEncoder):
        return kind_named("reranker")(model)  # pyright: ignore[reportCallIssue]
    raise InputError(
        f"expected a model of sentence-transformers or of nearfar.kinds, got a {type(model).__name__}",
        field="model",
        remedy="pass its folder, or nearfar.load(folder)",
    )
