"""Experts by domain: equal at the start, apart in training, and the same once loaded elsewhere."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import AutoModel, BertConfig, BertModel, DistilBertConfig, ModernBertConfig, MPNetConfig, T5Config

from nearfar.errors import InputError
from nearfar.models import fingerprint, load
from nearfar.models.dropout import set_dropout
from nearfar.models.experts.domains import DomainExperts, add_domain_experts
from nearfar.models.experts.layers import ExpertLayer, feed_forwards
from nearfar.models.experts.unrolled import save_unrolled

TEXTS = ["the cat sits", "a dog runs on the green grass", "bank", "music plays loud in the house today"]
DOMAINS = ["animals", "money.", "music/sound"]  # names that are no folder's


def encoder(folder: Path, **settings) -> SentenceTransformer:
    model = SentenceTransformer(str(folder), device="cpu")
    set_dropout(model, 0.0)
    add_domain_experts(model, settings.pop("domains", DOMAINS), **settings)
    return model.eval()


def disturb(model: SentenceTransformer) -> SentenceTransformer:
    """As if trained: every weight moves, so that experts differ."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


def vectors(model: SentenceTransformer, texts: list[str], experts: list[int]) -> torch.Tensor:
    """One batch in which every text has an expert of its own."""
    module = model[0]
    assert isinstance(module, DomainExperts)
    return model(module.with_domain(model.preprocess(texts), torch.tensor(experts)))["sentence_embedding"]


@pytest.fixture(scope="module")
def trained(tiny_model_folder: Path) -> SentenceTransformer:
    """Do not change it."""
    return disturb(encoder(tiny_model_folder))


@pytest.mark.parametrize("layers", ["all", "middle", "none"])
def test_at_the_start_every_domain_answers_as_the_dense_encoder(tiny_model, tiny_model_folder, layers) -> None:
    model = encoder(tiny_model_folder, layers=layers)
    expected = tiny_model.encode(TEXTS)
    for task in (*DOMAINS, None):
        assert np.abs(model.encode(TEXTS, task=task) - expected).max() < 1e-5


def test_an_expert_without_texts_gets_no_gradient(tiny_model_folder) -> None:
    model = encoder(tiny_model_folder)
    vectors(model, TEXTS[:3], [0, 0, 2])[:, 0].sum().backward()
    layers = [module for module in model.modules() if isinstance(module, ExpertLayer)]
    assert len(layers) == 4  # the two halves of a block in each of two layers
    for layer in layers:
        assert all(p.grad is None for p in layer.experts[1].parameters())
        for used in (0, 2):
            assert all(p.grad is not None and p.grad.abs().max() > 0 for p in layer.experts[used].parameters())
    shared = [p for name, p in model.named_parameters() if "attention.self" in name and name.endswith("value.weight")]
    assert len(shared) == 2
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in shared)


def test_batches_do_not_matter(trained) -> None:
    experts, order = [0, 2, 1, 2], [2, 0, 3, 1]
    together = vectors(trained, TEXTS, experts)
    permuted = vectors(trained, [TEXTS[i] for i in order], [experts[i] for i in order])
    one_by_one = torch.cat([vectors(trained, [text], [e]) for text, e in zip(TEXTS, experts, strict=True)])
    assert (permuted - together[order]).abs().max() < 1e-5
    assert (one_by_one - together).abs().max() < 1e-5
    assert (vectors(trained, TEXTS, [0] * 4) - vectors(trained, TEXTS, [1] * 4)).abs().max() > 0.01


def test_padding_on_the_left_finds_the_first_token(trained) -> None:
    module = trained[0]
    features = {"input_ids": torch.tensor([[0, 0, 2, 50, 3]]), "attention_mask": torch.tensor([[0, 0, 1, 1, 1]])}
    assert module.with_domain(features, torch.tensor([1]))["input_ids"].tolist() == [[0, 0, module.words + 1, 50, 3]]
    with pytest.raises(ValueError, match="got 50"):
        module.with_domain({**features, "input_ids": torch.tensor([[0, 0, 50, 50, 3]])}, torch.tensor([1]))


@pytest.mark.parametrize(("layers", "extended"), [("all", 2), ("middle", 1), ("none", 0)])
def test_number_of_parameters(tiny_model, tiny_model_folder, layers, extended) -> None:
    n, d, f = 3, 32, 64
    dense = sum(p.numel() for p in tiny_model.parameters())
    found = sum(p.numel() for p in encoder(tiny_model_folder, layers=layers).parameters())
    assert found == dense + (n - 1) * extended * (2 * d * f + d + f) + n * d


def test_number_of_parameters_of_minilm_with_five_experts() -> None:
    with torch.device("meta"):
        model = BertModel(
            BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
        )
    count = lambda module: sum(p.numel() for p in module.parameters())
    blocks = sum(count(model.get_submodule(name)) for name in feed_forwards(model))
    assert (count(model), count(model) + 4 * blocks + 5 * 384) == (22_713_216, 51_072_768)


def test_one_domain_is_the_dense_encoder_in_training_too(tiny_model_folder) -> None:
    dense = SentenceTransformer(str(tiny_model_folder), device="cpu")
    set_dropout(dense, 0.0)
    one = encoder(tiny_model_folder, domains=["all"])
    expected = dense(dense.preprocess(TEXTS))["sentence_embedding"]
    found = vectors(one, TEXTS, [0] * 4)
    expected.square().sum().backward()
    found.square().sum().backward()
    assert (found - expected).abs().max() < 1e-6
    ours = dict(one.named_parameters())
    for name, parameter in dense.named_parameters():
        name = name.replace("0.model.", "0.transformer.model.", 1)
        for place in ("intermediate.", "layer.0.output.dense.", "layer.1.output.dense."):
            name = name.replace(place, f"{place}experts.0.", 1)
        name = name.replace("word_embeddings.", "word_embeddings.words.")
        if parameter.grad is None:
            continue
        grad = ours[name].grad
        assert grad is not None, name
        if "word_embeddings" in name:  # [CLS] now has a row of its own
            cls = one[0].cls
            token = ours[name.replace("words.weight", "tokens")].grad
            assert (token[0] - parameter.grad[cls]).abs().max() < 1e-6
            grad[cls] = parameter.grad[cls]
        assert (grad - parameter.grad).abs().max() < 1e-6, name


def test_without_a_domain_the_mean_of_the_experts_answers(trained, tiny_model_folder) -> None:
    mean = encoder(tiny_model_folder, domains=["all"])
    state = mean.state_dict()
    many = dict(trained.named_parameters())
    for name in state:
        source = name.replace("experts.0.", "experts.{}.")
        if "{}" in source:
            state[name] = torch.stack([many[source.format(k)] for k in range(3)]).mean(0)
        elif name.endswith("tokens"):
            state[name] = many[name].mean(0, keepdim=True)
        else:
            state[name] = trained.state_dict()[name]
    mean.load_state_dict(state)
    assert np.abs(trained.encode(TEXTS) - mean.encode(TEXTS, task="all")).max() < 1e-5
    assert np.abs(trained.encode_query(TEXTS) - mean.encode(TEXTS, task="all")).max() < 1e-5
    assert np.abs(trained.encode(TEXTS) - trained.encode(TEXTS, task="animals")).max() > 0.01


def test_a_text_without_a_domain_may_be_refused(tiny_model_folder, tmp_path) -> None:
    model = encoder(tiny_model_folder, on_unknown="error")
    with pytest.raises(InputError, match=r"^task: .*animals, money\."):
        model.encode(TEXTS)
    save_unrolled(model, tmp_path / "model")
    loaded = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert np.abs(loaded.encode(TEXTS, task="money.") - model.encode(TEXTS, task="money.")).max() < 1e-6
    with pytest.raises(ValueError, match="Could not determine route"):
        loaded.encode(TEXTS)


def test_a_wrong_name_is_never_taken_for_no_name(trained) -> None:
    with pytest.raises(InputError, match=r"^task: .*'animal'.* animals\?"):
        trained.encode(TEXTS, task="animal")


def test_what_is_saved_loads_without_this_package_and_routes_by_domain(trained, tmp_path) -> None:
    folder = tmp_path / "model"
    trained.save_pretrained(str(folder))  # what a run writes first; its card stays
    save_unrolled(trained, folder)
    code = f"""
import sys
import numpy as np
from sentence_transformers import SentenceTransformer
model = SentenceTransformer({str(folder)!r}, device="cpu")
np.save({str(tmp_path / "found.npy")!r}, [model.encode({TEXTS}, task=task) for task in {[*DOMAINS, None]}])
assert not [name for name in sys.modules if name.startswith("nearfar")]
try:
    model.encode({TEXTS}, task="animal")
except ValueError:
    pass
else:
    raise SystemExit("a wrong name was taken")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    found = np.load(tmp_path / "found.npy")
    for answer, task in zip(found, (*DOMAINS, None), strict=True):
        assert np.abs(answer - trained.encode(TEXTS, task=task)).max() < 1e-6
    assert np.abs(found[0] - found[1]).max() > 0.01
    assert "task='animals'" in (folder / "README.md").read_text("utf-8")
    assert not (folder / "experts.safetensors").exists()
    again = load(folder, device="cpu")
    assert fingerprint(again) == fingerprint(load(folder, device="cpu"))
    assert np.abs(again.encode(TEXTS, task="money.") - found[1]).max() < 1e-6
    assert np.abs(again.encode_query(TEXTS) - found[3]).max() < 1e-6


def test_a_run_does_not_start_from_what_a_run_saved(trained, tmp_path) -> None:
    save_unrolled(trained, tmp_path / "model")
    with pytest.raises(InputError, match=r"^--model: .*got Router"):
        add_domain_experts(load(tmp_path / "model"), DOMAINS)


def test_a_router_with_pickled_or_missing_weights_does_not_load(trained, tmp_path) -> None:
    folder = tmp_path / "model"
    save_unrolled(trained, folder)
    for weights in folder.rglob("*.safetensors"):
        weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(InputError, match="pickled"):
        load(folder)


def test_a_checkpoint_holds_everything(trained, tiny_model_folder, tmp_path) -> None:
    trained[0].save(str(tmp_path))
    loaded = DomainExperts.load(str(tmp_path), local_files_only=True)
    expected = trained[0].state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in loaded.state_dict().items())
    assert isinstance(trained[0].transformer.model.get_input_embeddings().words, nn.Embedding)  # put back after saving
    (tmp_path / "experts.safetensors").unlink()
    with pytest.raises(InputError, match="missing, or those of another encoder"):
        DomainExperts.load(str(tmp_path), local_files_only=True)


def test_copies_are_independent(trained) -> None:
    before = trained.encode(TEXTS, task="animals")
    disturb(copy.deepcopy(trained))
    assert np.array_equal(trained.encode(TEXTS, task="animals"), before)


SMALL = {"vocab_size": 60, "num_attention_heads": 2}
OTHERS = {
    "modernbert": ModernBertConfig(
        **SMALL, hidden_size=16, intermediate_size=24, num_hidden_layers=2, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, cls_token_id=1, sep_token_id=2,
    ),
    "distilbert": DistilBertConfig(vocab_size=60, dim=16, hidden_dim=24, n_layers=2, n_heads=2),
    "mpnet": MPNetConfig(**SMALL, hidden_size=16, intermediate_size=24, num_hidden_layers=2),
    "t5": T5Config(vocab_size=60, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, is_encoder_decoder=False),
}  # fmt: skip


@pytest.mark.parametrize("name", list(OTHERS))
def test_blocks_of_other_architectures_are_found(name) -> None:
    from nearfar.models.experts.layers import Choice

    model = AutoModel.from_config(OTHERS[name]).eval()
    model = model.encoder if name == "t5" else model
    ids = torch.tensor([[1, 9, 8, 2], [1, 7, 6, 2]])
    with torch.no_grad():
        expected = model(input_ids=ids).last_hidden_state
    choice, places = Choice(), feed_forwards(model)
    assert len({place.split("output")[0].split("intermediate")[0] for place in places}) == 2
    for place in places:
        parent, _, child = place.rpartition(".")
        setattr(model.get_submodule(parent), child, ExpertLayer(model.get_submodule(place), 2, choice))
    choice.set(torch.tensor([1, 0]))
    with torch.no_grad():
        assert (model(input_ids=ids).last_hidden_state - expected).abs().max() < 1e-5


def test_what_cannot_get_experts_says_so(tiny_model_folder) -> None:
    with pytest.raises(InputError, match=r"^--model: .*Sequential"):
        feed_forwards(nn.Sequential(nn.Linear(2, 2)))
    model = encoder(tiny_model_folder)
    with pytest.raises(InputError, match=r"^--model: .*got DomainExperts"):
        add_domain_experts(model, DOMAINS)
    dense = SentenceTransformer(str(tiny_model_folder), device="cpu")
    for names in ([], ["a", "a"], [""]):
        with pytest.raises(InputError, match=r"^domain: "):
            add_domain_experts(dense, names)
    dense.tokenizer.cls_token = None
    with pytest.raises(InputError, match=r"^--model: .*\[CLS\]"):
        add_domain_experts(dense, DOMAINS)
