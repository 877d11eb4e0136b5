"""A frozen bank as candidates: worked numbers, what may not matter, what is never touched."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nearfar import contrast, near
from nearfar.errors import InputError
from nearfar.losses.prototypes import PrototypeLoss, mean_prototypes, text_prototypes, word_prototypes
from nearfar.models.dropout import set_dropout
from nearfar.models.pooling import pooling_of
from nearfar.models.projection import pooler_projection

TEXTS = ["the cat sits", "a dog runs on the grass near the house", "blue", "money in the bank", "red sea", "loud music"]


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    set_dropout(model, 0.0)
    return model


class Given(nn.Module):
    """In place of a model: hands out the vectors it is given."""

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": features["vectors"]}


def loss_of(vectors: Tensor, bank: Tensor, labels: list[int], projection: nn.Module | None = None) -> Tensor:
    loss = PrototypeLoss(Given(), bank, projection=projection)  # type: ignore[arg-type]
    return loss([{"vectors": vectors}], torch.tensor(labels))


def test_worked_example() -> None:
    bank = torch.tensor([[1.0, 0, 0], [0, 2, 0], [0, 0, 1], [1, 1, 0]])
    u = torch.tensor([[0.5, 1, -0.5]])
    v = torch.tanh(u)
    torch.testing.assert_close(v @ bank.T, torch.tensor([[0.462117, 1.523188, -0.462117, 1.223711]]))
    assert loss_of(u, bank, [1], nn.Tanh()).item() == pytest.approx(0.7995903072, abs=1e-6)
    exact = contrast(
        torch.tanh(u.double()),
        bank.double(),
        near.same_label([1], range(4)),
        temperature=1.0,
        similarity="dot",
    )
    assert exact.item() == pytest.approx(0.7995903072, abs=1e-9)


def test_is_cross_entropy_over_all_prototypes() -> None:
    torch.manual_seed(0)
    v, bank, labels = torch.randn(7, 5, requires_grad=True), torch.randn(300, 5) * 3, [4, 299, 4, 0, 17, 250, 9]
    loss = loss_of(v, bank, labels)
    expected = F.cross_entropy(v @ bank.T, torch.tensor(labels))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, v), torch.autograd.grad(expected, v))


def test_a_shift_of_the_whole_bank_changes_neither_loss_nor_gradient() -> None:
    torch.manual_seed(0)
    v, bank = torch.randn(4, 6, dtype=torch.float64, requires_grad=True), torch.randn(9, 6, dtype=torch.float64)
    shift = torch.randn(6, dtype=torch.float64) * 10

    def value_and_gradient(bank: Tensor) -> tuple[Tensor, Tensor]:
        loss = loss_of(v, bank, [0, 3, 8, 3])
        return loss, torch.autograd.grad(loss, v)[0]

    found, shifted, stretched = (value_and_gradient(b) for b in (bank, bank + shift, bank * 2))
    torch.testing.assert_close(shifted, found, rtol=1e-10, atol=1e-12)
    assert not torch.allclose(stretched[0], found[0])


def test_one_prototype_is_always_found_and_twins_cost_log_2() -> None:
    assert loss_of(torch.randn(3, 4), torch.randn(1, 4), [0, 0, 0]).item() == pytest.approx(0, abs=1e-6)
    bank = torch.tensor([[1.0, 0], [1, 0], [-1, 0]])
    losses = [loss_of(torch.tensor([[length, 0.0]]), bank, [0]).item() for length in (1, 10, 100)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(math.log(2), abs=1e-5)
    assert min(losses) >= math.log(2) - 1e-5


def test_mean_of_the_vectors_of_a_label() -> None:
    vectors = torch.tensor([[1.0, 2], [7, 8], [3, 4]]).numpy()
    assert mean_prototypes(vectors, [0, 1, 0]).tolist() == [[2, 3], [7, 8]]
    assert mean_prototypes(vectors[[2, 0, 1]], [0, 0, 1]).tolist() == [[2, 3], [7, 8]]


def test_neither_order_nor_padding_matters_to_a_prototype(model) -> None:
    labels, pooling = [0, 1, 0, 2, 1, 1], pooling_of(model, "mean")
    bank = text_prototypes(model, pooling, TEXTS, labels)
    alone = torch.stack([text_prototypes(model, pooling, [text], [0])[0] for text in TEXTS])
    torch.testing.assert_close(bank, mean_prototypes(alone.numpy(), labels), rtol=0, atol=1e-5)
    order = [5, 2, 0, 4, 3, 1]
    again = text_prototypes(model, pooling, [TEXTS[i] for i in order], [labels[i] for i in order])
    torch.testing.assert_close(again, bank, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", ["cls", "mean"])
def test_a_bank_is_pooled_as_asked_without_dropout_gradient_or_pooler(tiny_model_folder, mode) -> None:
    model = SentenceTransformer(str(tiny_model_folder), device="cpu").train()  # with its dropout of 0.1
    bank = text_prototypes(model, pooling_of(model, mode), TEXTS, range(6))
    assert not bank.requires_grad
    with torch.no_grad():
        model[0].auto_model.pooler.dense.weight.add_(1)
    model.eval()
    for text, found in zip(TEXTS, bank, strict=True):
        with torch.no_grad():
            hidden = model[0](model.preprocess([text]))["token_embeddings"][0]
        torch.testing.assert_close(found, hidden[0] if mode == "cls" else hidden.mean(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(bank, text_prototypes(model, pooling_of(model, mode), TEXTS, range(6)))


def test_long_texts_are_cut(model) -> None:
    texts = ["the cat " * 200, "the cat the"]  # [CLS] the cat the ... [SEP]
    bank = text_prototypes(model, pooling_of(model), texts, [0, 1], max_length=5)
    torch.testing.assert_close(bank[0], bank[1])


def test_vectors_are_taken_before_they_are_scaled_to_length_1(model) -> None:
    from sentence_transformers.sentence_transformer.modules import Normalize

    bank = torch.randn(6, 32)
    features, labels = model.preprocess(TEXTS), torch.arange(6)
    expected = PrototypeLoss(model, bank)([dict(features)], labels)
    model.append(Normalize())
    torch.testing.assert_close(PrototypeLoss(model, bank, pooling_of(model))([dict(features)], labels), expected)
    assert not torch.allclose(PrototypeLoss(model, bank)([dict(features)], labels), expected)


def test_the_bank_is_frozen(model) -> None:
    """Also when there are more prototypes than tokens in the vocabulary."""
    n = model.tokenizer.vocab_size + 50
    loss = PrototypeLoss(model.train(), torch.randn(n, 32), pooling_of(model), pooler_projection(model, 32, 32))
    before = loss.bank.clone()
    optimizer = torch.optim.AdamW(loss.parameters(), lr=0.1)
    loss([model.preprocess(TEXTS)], torch.tensor([0, n - 1, 3, 4, 5, 6])).backward()
    optimizer.step()
    assert loss.bank.grad is None
    assert not loss.bank.requires_grad
    assert torch.equal(loss.bank, before)
    assert not any("bank" in name or "rows" in name for name in loss.state_dict()), "checkpoints would hold the bank"
    assert any(name.startswith("projection.") for name in loss.state_dict())


def test_a_frozen_bank_costs_no_memory_for_a_gradient() -> None:
    """Neither a gradient nor a copy of the bank is made, where a bank that learns makes one."""

    class Made(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.memory: set[int] = set()

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            for x in out if isinstance(out, (tuple, list)) else [out]:
                if isinstance(x, Tensor) and x.numel() == bank.numel():
                    self.memory.add(x.untyped_storage().data_ptr())
            return out

    bank, made = torch.randn(501, 32), {}
    for learns in (False, True):
        loss = PrototypeLoss(Given(), bank, projection=nn.Linear(32, 32))  # type: ignore[arg-type]
        loss.bank.requires_grad_(learns)
        with Made() as mode:
            loss([{"vectors": torch.randn(8, 32)}], torch.arange(8)).backward()
        made[learns] = mode.memory - {loss.bank.data_ptr()}
    assert not made[False]
    assert made[True]


def test_processes_share_the_mean_gradient_of_the_projection(monkeypatch) -> None:
    """Two processes, of which the other one's gradient is 5 everywhere."""
    u, bank = torch.randn(3, 4), torch.randn(6, 4)
    gradients = []
    for processes in (1, 2):
        projection = nn.Linear(4, 4)
        nn.init.eye_(projection.weight)
        nn.init.zeros_(projection.bias)
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda size=processes: size > 1)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
        monkeypatch.setattr(torch.distributed, "all_reduce", lambda gradient: gradient.add_(5))
        loss_of(u, bank, [0, 1, 2], projection).backward()
        gradients.append(projection.weight.grad)
    torch.testing.assert_close(gradients[1], (gradients[0] + 5) / 2)


def test_words_as_prototypes_are_the_models_own_embeddings(model) -> None:
    rows = Dataset.from_dict({"definition": ["a", "b", "c", "d"], "label": [3, 0, 1, 2]})
    kept, bank = word_prototypes(model, rows, ["cat", "red fish", "zebra", "sea"])  # zebra: letters
    table = model[0].auto_model.get_input_embeddings().weight
    ids = model.tokenizer.convert_tokens_to_ids(["cat", "sea"])
    assert torch.equal(bank, table[ids])
    assert bank.data_ptr() != table.data_ptr()
    assert kept.to_dict() == {"definition": ["a", "b"], "label": [1, 0]}

    # DefSent's loss: the word's logit among those of the words, by the tied decoder.
    features = model.preprocess(["the cat", "a sea"])
    found = PrototypeLoss(model, bank)([dict(features)], torch.tensor([0, 1]))
    logits = model(dict(features))["sentence_embedding"] @ table.T
    torch.testing.assert_close(found, F.cross_entropy(logits[:, ids], torch.tensor([0, 1])))


def test_words_need_two_entries_of_one_token(model) -> None:
    rows = Dataset.from_dict({"definition": ["a", "b"], "label": [0, 1]})
    with pytest.raises(InputError, match=r"^entry: .*1 of 2\b"):
        word_prototypes(model, rows, ["cat", "red fish"])
