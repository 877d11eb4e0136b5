from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nearfar.decoding import methods
from nearfar.decoding.amateur import Amateur
from nearfar.decoding.texts import Unfinished, Writer
from nearfar.errors import InputError
from nearfar.kinds.causal import CausalLM
from nearfar.settings import with_settings

PROMPTS = ["the cat sits", "a", "a dog runs on the grass", "sky", "the long house under a tree"]


@pytest.fixture(scope="module")
def loaded(tiny_lm_folder: Path) -> Any:
    return CausalLM.load(tiny_lm_folder, device="cpu")


def writer(loaded: Any, name: str, batch_size: int = 2, seed: int = 0, **settings: Any) -> Writer:
    method = methods.get(name)
    options = with_settings(method.options(), settings)
    amateur = Amateur(loaded.model, "wrong") if method.amateur else None
    return Writer(loaded, method, options, max_new_tokens=6, seed=seed, batch_size=batch_size, amateur=amateur)


def texts(writing: Writer, prompts: list[str] = PROMPTS, **how: Any) -> dict[int, str]:
    batches = writing.batches(prompts, **how)
    return {number: each.text for numbers, found in batches for number, each in zip(numbers, found, strict=True)}


@pytest.mark.parametrize("name", methods.names())
def test_a_batch_writes_what_a_prompt_alone_gets(loaded: Any, name: str) -> None:
    settings = {"layers": "1"} if name in ("dola", "lol") else {}
    together = texts(writer(loaded, name, **settings))
    assert sorted(together) == [0, 1, 2, 3, 4]
    assert together == texts(writer(loaded, name, **settings)), "the same seed, the same texts"
    if not methods.get(name).random:
        assert together == {n: texts(writer(loaded, name, **settings), [prompt])[0] for n, prompt in enumerate(PROMPTS)}


def test_the_seed_decides_what_is_drawn_and_nobody_elses_draws(loaded: Any) -> None:
    state = torch.random.get_rng_state()
    assert texts(writer(loaded, "nucleus")) != texts(writer(loaded, "nucleus", seed=1))
    assert torch.equal(torch.random.get_rng_state(), state)
    greedy = texts(writer(loaded, "greedy"))
    assert texts(writer(loaded, "nucleus", top_p=1e-6)) == greedy
    assert texts(writer(loaded, "contrastive-search", penalty_alpha=0)) == greedy
    assert texts(writer(loaded, "contrastive-search")) != greedy


def test_batches_that_are_there_are_left_out(loaded: Any) -> None:
    whole = list(writer(loaded, "nucleus").batches(PROMPTS))
    assert list(writer(loaded, "nucleus").batches(PROMPTS, done=1)) == whole[1:]


def test_the_model_comes_to_an_end(loaded: Any) -> None:
    writing = writer(loaded, "greedy")
    ((_, (free,)),) = writing.batches(["the cat sits"])
    assert (free.tokens, free.ended) == (6, False)
    ids = torch.tensor([loaded.tokenizer.encode("the cat sits")])
    written = loaded.model.generate(ids, max_new_tokens=6, do_sample=False, pad_token_id=0)[0, ids.shape[1] :].tolist()
    writing.ends = [written[2]]
    ((_, (ended,)),) = writing.batches(["the cat sits"])
    assert (ended.tokens, ended.ended) == (written.index(written[2]) + 1, True)


@pytest.mark.parametrize("name", ["greedy", "contrastive-search", "nucleus"])
def test_watching_shows_the_text_as_it_grows(loaded: Any, name: str) -> None:
    pieces: list[str] = []
    found = texts(writer(loaded, name), ["the cat"], watch=pieces.append)[0]
    told = "".join(pieces)
    assert found.startswith(told)
    assert told == found.rstrip("\ufffd") or len(pieces) >= 1


def test_what_cannot_be_written_is_one_line(loaded: Any) -> None:
    with pytest.raises(InputError, match=r"^prompt: prompt 2\b"):
        list(writer(loaded, "greedy").batches(["a", ""]))
    with pytest.raises(InputError, match="1024 positions"):
        list(writer(loaded, "greedy").batches(["long " * 300]))
    with pytest.raises(InputError, match=r"^--decoding: .*contrastive-search\?"):
        methods.get("contrastive_serch")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("contrastive-search", {"top_k": "0"}),
        ("contrastive-search", {"penalty_alpha": "2"}),
        ("contrastive-search", {"beams": "2"}),
        ("nucleus", {"top_p": "0"}),
        ("nucleus", {"temperature": "0"}),
        ("beam", {"num_beams": "1"}),
        ("greedy", {"repetition_penalty": "0"}),
    ],
)
def test_settings_out_of_range(name: str, settings: dict[str, str]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        with_settings(methods.get(name).options(), settings)


def test_unfinished_batches_survive_a_kill(loaded: Any, tmp_path: Path) -> None:
    path = tmp_path / "unfinished"
    batches = list(writer(loaded, "greedy").batches(PROMPTS))
    kept = Unfinished(path, {"seed": 0})
    assert kept.batches() == []
    for batch in batches[:2]:
        kept.add(batch)
    with path.open("a") as file:
        file.write('[[3], [["cut o')
    again = Unfinished(path, {"seed": 0})
    assert again.batches() == batches[:2]
    again.add(batches[2])
    assert Unfinished(path, {"seed": 0}).batches() == batches
    assert Unfinished(path, {"seed": 1}).batches() == [], "another run begins anew"
    assert Unfinished(path, {"seed": 0}).batches() == []
