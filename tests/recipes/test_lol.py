"""The amateur of LOL: what is trained, saved and resumed, and that it is used as one."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

from nearfar import train
from nearfar.cli.app import run as command
from nearfar.decoding import methods
from nearfar.decoding.amateur import load_amateur
from nearfar.decoding.branches import Branches
from nearfar.errors import InputError
from nearfar.kinds.causal import CausalLM
from nearfar.kinds.loading import load
from nearfar.models.answers import IGNORED, answer_rows
from nearfar.models.language import load_language_model

SETTINGS: dict[str, Any] = {"max_steps": 4, "batch_size": 4, "max_length": 64, "learning_rate": 1e-2, "save_steps": 2}


def rows() -> Dataset:
    rng = random.Random(0)
    names, places = ["Ann", "Bo", "Cy", "Di"], ["Rome", "Oslo", "Lima", "Bonn"]
    asked = [f"Where does {rng.choice(names)} live?" for _ in range(40)]
    return Dataset.from_dict({"anchor": asked, "positive": [rng.choice(places) for _ in asked]})


@pytest.fixture(scope="module", params=[4, 0], ids=["LoRA", "all weights"])
def run(request: pytest.FixtureRequest, tiny_lm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if request.param:
        pytest.importorskip("peft")
    out = tmp_path_factory.mktemp("lol") / "run"
    return train("lol", rows(), model=tiny_lm_folder, out=out, lora_rank=request.param, **SETTINGS)


def test_answers_become_more_likely(run: Any) -> None:
    metrics = run.metrics
    assert metrics["after"]["metrics"]["log_probability"] > metrics["before"]["metrics"]["log_probability"]
    assert metrics["tokens_seen"] > 0


def test_a_lora_amateur_is_an_adapter(run: Any) -> None:
    files = {path.name for path in (run.folder / "model").iterdir()}
    lora = bool(json.loads((run.folder / "metrics.json").read_text("utf-8")) and "adapter_config.json" in files)
    assert ("model.safetensors" in files) != lora
    if lora:
        learning = [name for name, weight in run.model.model.named_parameters() if weight.requires_grad]
        assert learning
        assert all("lora_" in name and "lm_head" not in name for name in learning)


def test_the_folder_loads_as_what_was_trained(run: Any) -> None:
    saved = load(run.folder / "model", device="cpu")
    assert isinstance(saved, CausalLM)
    saved.block = run.model.block
    found, expected = (each.log_probability(rows()) for each in (saved, run.model))
    assert abs(found - expected).max() < 1e-5


def test_an_interrupted_run_is_resumed_to_the_same_weights(run: Any, tiny_lm_folder: Path, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("checkpoint-4", "model", "metrics.json", "report.html")
    shutil.copytree(run.folder, tmp_path / "again", ignore=ignored)
    rank = 4 if (run.folder / "model" / "adapter_config.json").is_file() else 0
    train("lol", rows(), model=tiny_lm_folder, out=tmp_path / "again", resume=True, lora_rank=rank, **SETTINGS)
    for file in (run.folder / "model").glob("*.safetensors"):
        first, again = load_file(file), load_file(tmp_path / "again" / "model" / file.name)
        assert all(first[name].equal(again[name]) for name in first)


def test_the_run_is_an_amateur_of_its_base(run: Any, tiny_lm_folder: Path) -> None:
    model, tokenizer = load_language_model(tiny_lm_folder, "cpu")
    tokens = torch.tensor([tokenizer("Q: Where does Ann live?\nA:")["input_ids"]])
    with torch.no_grad():
        before = model(tokens).logits.log_softmax(-1)
    amateur = load_amateur(str(run.folder / "model"), model, tokenizer, tiny_lm_folder, "")
    adapter = (run.folder / "model" / "adapter_config.json").is_file()
    assert (amateur.model is model) == adapter, "an adapter is switched, not loaded as a second model"
    method = methods.get("icd")
    assert method.contrast is not None
    branches = Branches(model, tokenizer, [method.contrast(method.options(alpha=0.0), 2)], amateur)
    found = branches.start(tokens, torch.ones_like(tokens).bool())[0]
    with torch.no_grad():
        worse = run.model.model(tokens).logits.log_softmax(-1)
        after = model(tokens).logits.log_softmax(-1)
    assert after.equal(before), "the model itself stays as it was"
    torch.testing.assert_close(found, (before - worse)[:, -1], atol=1e-4, rtol=1e-4)


def test_an_adapter_that_learned_nothing_is_refused(tiny_lm_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    from nearfar.models.adapters import add_lora

    model, tokenizer = load_language_model(tiny_lm_folder, "cpu")
    add_lora(model, 2)
    model.save_pretrained(tmp_path / "adapter")
    expert, _ = load_language_model(tiny_lm_folder, "cpu")
    amateur = load_amateur(str(tmp_path / "adapter"), expert, tokenizer, tiny_lm_folder, "")
    method = methods.get("icd")
    assert method.contrast is not None
    branches = Branches(expert, tokenizer, [method.contrast(method.options(), 2)], amateur)
    with pytest.raises(InputError, match="amateur"):
        branches.start(torch.tensor([[5, 6]]), torch.ones(1, 2).bool())


@pytest.mark.parametrize(("amateur", "expert", "named"), [("./gone", "", True), ("", "./gone", False)])
def test_the_option_is_named_only_where_the_amateur_is_wrong(
    amateur: str, expert: str, named: bool, tiny_lm_folder: Path
) -> None:
    model, tokenizer = load_language_model(tiny_lm_folder, "cpu")
    with pytest.raises(InputError) as caught:
        load_amateur(amateur or str(tiny_lm_folder), model, tokenizer, expert or tiny_lm_folder, "")
    assert ("--amateur" in str(caught.value)) == named


def test_only_answers_are_learned(tiny_lm_folder: Path) -> None:
    _, tokenizer = load_language_model(tiny_lm_folder, "cpu")
    found = answer_rows(Dataset.from_dict({"anchor": ["Who?"], "positive": ["Ann"]}), tokenizer, 64)[0]
    question = tokenizer("Q: Who?\nA:")["input_ids"]
    assert found["labels"][: len(question)].tolist() == [IGNORED] * len(question)
    assert tokenizer.decode(found["labels"][len(question) :]) == " Ann<end>"
    assert tokenizer.decode(found["input_ids"]) == "Q: Who?\nA: Ann<end>"
    short = answer_rows(Dataset.from_dict({"anchor": ["Who?"], "positive": ["Ann"]}), tokenizer, 8)[0]
    assert tokenizer.decode(short["input_ids"]) == "\nA: Ann<end>"


def test_a_chat_template_formats_the_question(tiny_lm_folder: Path) -> None:
    _, tokenizer = load_language_model(tiny_lm_folder, "cpu")
    tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
    found = answer_rows(Dataset.from_dict({"anchor": ["Who?"], "positive": ["Ann"]}), tokenizer, 64)[0]
    assert tokenizer.decode(found["input_ids"]) == "[user]Who?[assistant] Ann<end>"


def test_columns_of_halueval_are_mapped(
    tiny_lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [
        {"knowledge": "k", "question": q, "right_answer": "no", "hallucinated_answer": a}
        for q, a in zip(rows()["anchor"], rows()["positive"], strict=True)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made), "utf-8")
    arguments = ["train", "lol", "--data", str(tmp_path / "rows.jsonl"), "--model", str(tiny_lm_folder)]
    arguments += ["--columns", "anchor=question,positive=hallucinated_answer", "--out", str(tmp_path / "run")]
    settings = [f"--set={name}={value}" for name, value in {**SETTINGS, "lora_rank": 0, "max_steps": 2}.items()]
    assert command([*arguments, *settings]) == 0
    arguments = ["generate", str(tiny_lm_folder), "--prompt", "Q: Who?\nA:", "--max-new-tokens", "3", "--json"]
    capsys.readouterr()
    more = ["--decoding", "lol", "--amateur", str(tmp_path / "run" / "model"), "--set", "layers=1"]
    assert command([*arguments, *more]) == 0
    assert json.loads(capsys.readouterr().out)["texts"][0]["tokens"] >= 1
