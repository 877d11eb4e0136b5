"""Two heads of each tower: the mixture, its layers, and what training leaves in it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.towers import two_towers
from nearfar.models.towers.heads import TOWER, TwoHeads, add_heads, save_mixed, with_dense_heads

TEXTS = ["the cat sits", "a dog runs on the grass", "blue sea and red fish", "bank"]


def heads(share: float = 0.5, route: str = "text") -> TwoHeads:
    """Heads after some training batches, so that batch norms and lengths have seen something."""
    torch.manual_seed(0)
    made = TwoHeads({"text": 6, "image": 5}, dims=3, hidden=8, share=share).train()
    for _ in range(4):
        made.linear(route, torch.randn(16, 6) + 1)
        made.deep(route, torch.randn(16, 6) - 1)
    return made.eval()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_dense_layers_are_the_mixture(share: float) -> None:
    made, x = heads(share), torch.randn(7, 6)
    with torch.no_grad():
        mixture = made({"sentence_embedding": x}, task="text")["sentence_embedding"]
        found: dict[str, Any] = {"sentence_embedding": x}
        for layer in made.as_dense("text"):
            found = layer(found)
    assert mixture.shape == (7, 6)
    torch.testing.assert_close(found["sentence_embedding"], mixture, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("share", "head"), [(1.0, "linear"), (0.0, "deep")])
def test_all_weight_on_one_head_gives_its_cosines(share: float, head: str) -> None:
    made, x, y = heads(share), torch.randn(7, 6), torch.randn(5, 6)
    with torch.no_grad():
        mixed = [F.normalize(made({"sentence_embedding": each})["sentence_embedding"], dim=1) for each in (x, y)]
        alone = [F.normalize(getattr(made, head)("text", each), dim=1) for each in (x, y)]
    torch.testing.assert_close(mixed[0] @ mixed[1].T, alone[0] @ alone[1].T, atol=1e-6, rtol=1e-5)


def test_vectors_of_equal_length_have_the_weighted_cosine() -> None:
    made, x = heads(0.3), torch.randn(7, 6)
    with torch.no_grad():
        z, h = made.linear("text", x), made.deep("text", x)
        made.lengths["text"].means.copy_(torch.tensor([2.0, 5.0]))
        factors = made._factors("text")
        parts = [2 * F.normalize(z, dim=1) * factors[0], 5 * F.normalize(h, dim=1) * factors[1]]
    v = torch.cat(parts, 1)
    torch.testing.assert_close(v.norm(dim=1), torch.ones(7))
    expected = (
        0.3 * F.normalize(z, dim=1) @ F.normalize(z, dim=1).T + 0.7 * F.normalize(h, dim=1) @ F.normalize(h, dim=1).T
    )
    torch.testing.assert_close(v @ v.T, expected, atol=1e-6, rtol=1e-5)


def test_mean_lengths_are_those_of_what_training_saw() -> None:
    made = TwoHeads({"text": 6}, dims=3, hidden=8).train()
    x = torch.randn(16, 6)
    for times in (1, 2):
        z = made.linear("text", times * x)
    assert float(made.lengths["text"].means[0]) == pytest.approx(float(z.detach().norm(dim=1).mean()) * 0.75, rel=1e-5)
    before = made.lengths["text"].means.clone()
    made.eval().linear("text", 100 * x)
    assert made.lengths["text"].means.equal(before)


def test_training_leaves_the_heads_to_the_loss() -> None:
    made, x = heads().train(), torch.randn(7, 6)
    found = made({"sentence_embedding": x}, task="text")
    assert found[TOWER] is x
    assert found["sentence_embedding"] is x


@pytest.fixture(scope="module")
def model(tiny_model_folder: Path) -> SentenceTransformer:
    torch.manual_seed(0)
    made = two_towers(tiny_model_folder, image="small-vit", image_size=16, device="cpu")
    added = add_heads(made, dims=4, hidden=8, share=0.4).train()
    for route, width in added.widths.items():
        added.linear(route, torch.randn(9, width))
        added.deep(route, torch.randn(9, width))
    return made.eval()


def images() -> list[Any]:
    from PIL import Image

    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)) for _ in range(3)]


def test_a_saved_model_has_the_same_vectors_and_needs_no_code_of_ours(
    model: SentenceTransformer, tmp_path: Path
) -> None:
    save_mixed(model, tmp_path / "model")
    classes = [name for file in tmp_path.rglob("*.json") for name in (file.read_text(),) if "nearfar" in name]
    assert classes == []
    for found in (SentenceTransformer(str(tmp_path / "model"), device="cpu"), load(tmp_path / "model", device="cpu")):
        for task, inputs in (("text", TEXTS), ("image", images())):
            expected = model.encode(inputs, task=task)
            assert expected.shape == (len(inputs), 8)
            np.testing.assert_allclose(found.encode(inputs, task=task), expected, atol=1e-5)
            np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-5)


def test_the_dense_model_is_a_copy(model: SentenceTransformer) -> None:
    before = copy.deepcopy(model.state_dict())
    dense = with_dense_heads(model)
    with torch.no_grad():
        for weight in dense.parameters():
            weight.zero_()
    for name, value in model.state_dict().items():
        assert value.equal(before[name]), name


def test_a_model_with_one_tower_is_refused(tiny_model_folder: Path) -> None:
    with pytest.raises(InputError, match="only a tower for texts"):
        add_heads(load(tiny_model_folder, device="cpu"))
