"""Which kind of model a folder has: as it was written down, or as the host libraries' files say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nearfar.errors import InputError
from nearfar.kinds.loading import kind_named
from nearfar.models.kind_files import FILE, WORDS, kind_of_folder, require_kind, write_kind


def put(folder: Path, **files: Any) -> Path:
    """Files by name, `__` for a folder: `a__b` is `a/b.json`."""
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


@pytest.mark.parametrize("kind", WORDS)
def test_what_was_written_down_is_read(kind: str, tmp_path: Path) -> None:
    put(tmp_path, modules=[], config={"architectures": ["XForCausalLM"]})
    write_kind(tmp_path, kind)
    assert kind_of_folder(tmp_path) == kind == kind_named(kind).name
    assert require_kind(tmp_path, "other", kind) == kind


ROUTES = {"structure": {"text": ["a"], "image": ["b"]}}


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({}, "encoder"),
        ({"config": {"architectures": ["BertModel"]}}, "encoder"),
        ({"config": {}}, "encoder"),
        ({"config": {"architectures": ["BertForSequenceClassification"]}}, "reranker"),
        ({"config": {"architectures": ["LlamaForCausalLM"]}}, "causal LM"),
        ({"config": {"architectures": ["GPT2LMHeadModel"]}}, "causal LM"),
        ({"config": {"model_type": "low_rank_sparse", "architectures": ["Own"]}}, "causal LM"),
        ({"config": {"architectures": ["T5ForConditionalGeneration"]}}, "seq2seq LM"),
        ({"config": {"architectures": ["XForSeq2SeqLM"]}}, "seq2seq LM"),
        # Of sentence-transformers: what its transformer once was decides nothing.
        ({"modules": "[]", "config": {"architectures": ["LlamaForCausalLM"]}}, "encoder"),
        ({"modules": "[]", "config_sentence_transformers": {"model_type": "SentenceTransformer"}}, "encoder"),
        ({"modules": "[]", "config_sentence_transformers": {"model_type": "CrossEncoder"}}, "reranker"),
        ({"modules": "[]", "router_config": ROUTES}, "two towers"),
        ({"modules": "[]", "0_Router__router_config": ROUTES}, "two towers"),
        ({"modules": "[]", "router_config": {"structure": {"text": [], "audio": []}}}, "two towers"),
        # Routes for queries and documents are of one encoder, and a tower for files alone encodes no text.
        ({"modules": "[]", "router_config": {"structure": {"query": [], "document": []}}}, "encoder"),
        ({"modules": "[]", "router_config": {"structure": {"image": []}}}, "encoder"),
        ({"modules": "[]", "router_config": {"structure": ["text", "image"]}}, "encoder"),
        ({"modules": "[]", "pair_head__config": {}}, "pair scorer"),
    ],
)
def test_files_of_the_host_libraries(files: dict[str, Any], kind: str, tmp_path: Path) -> None:
    assert kind_of_folder(put(tmp_path, **files)) == kind


def test_another_kind_than_is_needed_is_named(tmp_path: Path) -> None:
    for kind in WORDS:
        write_kind(tmp_path, kind)
        needed = "reranker" if kind != "reranker" else "encoder"
        with pytest.raises(InputError) as caught:
            require_kind(tmp_path, needed)
        assert caught.value.file == tmp_path
        assert WORDS[kind] in str(caught.value)
        assert WORDS[needed] in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nearfar", '{"kind": "dinosaur"}'),
        ("nearfar", "{}"),
        ("nearfar", "{"),
        ("nearfar", "[]"),
        ("config", '"text"'),
        ("config", "[" * 100_000),
    ],
)
def test_damaged_files_are_named(name: str, content: str, tmp_path: Path) -> None:
    put(tmp_path, **{name: content})
    with pytest.raises(InputError) as caught:
        kind_of_folder(tmp_path)
    assert caught.value.file == tmp_path / f"{name}.json"
    assert FILE == "nearfar.json"
