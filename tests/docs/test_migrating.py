"""Each row of the page's tables: sentence-transformers' class and ours give one batch the same value and gradient."""

from __future__ import annotations

import copy
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses as theirs
from sentence_transformers.util import cos_sim, dot_score

import nearfar
from nearfar import losses as ours
from nearfar.losses.distillation import label_loss, logit_mse, softened
from nearfar.losses.elastic import Size
from nearfar.losses.hypersphere import alignment
from nearfar.models.dropout import set_dropout

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text("utf-8")
WORDS = ("cat", "dog", "sits", "runs", "mat", "grass", "green", "sky", "sea", "fish", "bird", "flies", "house", "bank")
N = 6
TABLES = re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)


def rows(section: str) -> list[tuple[str, str, str]]:
    """Data, their expression, ours."""
    (text,) = [body for title, body in TABLES if title == section]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    return [(data, there.strip("`"), here.strip("`")) for data, there, here, *_ in lines if there.startswith("`")]


IN_TRAINER, OF_VECTORS = rows("Losses in the trainer"), rows("Losses of vectors")


def texts(column: int) -> list[str]:
    """Of different lengths; the anchors overlap, so that a guide finds something to mask.

    No text occurs twice: the guide would give both the same similarity, and rounding would decide on the mask.
    """
    if column == 0:
        return [
            "the cat sits on the mat",
            "the cat sits on the grass",
            "a bird flies",
            "fish",
            "the bank",
            "a bird flies on",
        ]
    return [
        " ".join(WORDS[(5 * row + 3 * column + k) % len(WORDS)] for k in range(1 + (row + column) % 4))
        for row in range(N)
    ]


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    set_dropout(model, 0.0)
    return model.train()


@pytest.fixture
def names(model: SentenceTransformer) -> dict[str, Any]:
    """What the expressions of the page may name."""
    guide = copy.deepcopy(model).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in guide.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    tensors = {name: getattr(torch, name) for name in ("cat", "eye", "ones", "stack", "zeros")}
    functions = {f.__name__: f for f in (alignment, cos_sim, dot_score, label_loss, logit_mse, softened)}
    return {**vars(theirs), **vars(ours), **vars(nearfar), **tensors, **functions} | {
        "model": model, "guide": guide, "N": N, "Size": Size, "contrast": nearfar.contrast, "far": nearfar.far,
    }  # fmt: skip


def labels(data: str) -> torch.Tensor | None:
    generator = torch.Generator().manual_seed(1)
    kinds = {
        "scored": torch.rand(N, generator=generator),
        "triplets, a score for each": torch.rand(N, 2, generator=generator),
        "triplets, a margin": torch.rand(N, generator=generator),
        "texts, a vector": torch.randn(N, 32, generator=generator),
        "pairs, a class": torch.arange(N) % 3,
    }
    return kinds.get(data)


def features(data: str, model: SentenceTransformer) -> list[dict[str, Any]]:
    columns = {"texts": 1, "triplets": 3}.get(data.partition(",")[0], 2)
    return [model.preprocess(texts(column)) for column in range(columns)]


def gradients(value: torch.Tensor, model: SentenceTransformer) -> torch.Tensor:
    model.zero_grad()
    value.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def loss_of(expression: str, names: dict[str, Any]) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of their classes are on their way out
        return eval(expression, dict(names))


def assert_same(found: torch.Tensor, expected: torch.Tensor, model: SentenceTransformer) -> None:
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    ours, theirs = gradients(found, model), gradients(expected, model)
    assert theirs.norm() > 0
    assert (ours - theirs).norm() <= 1e-4 * theirs.norm()


@pytest.mark.parametrize(("data", "there", "here"), IN_TRAINER, ids=[f"{row[1]} {row[0]}" for row in IN_TRAINER])
def test_same_value_and_gradient_in_the_trainer(data, there, here, model, names) -> None:
    values = []
    for expression in (there, here):
        values.append(loss_of(expression, names)(features(data, model), labels(data)))
    assert_same(values[1], values[0], model)


@pytest.mark.parametrize(("data", "there", "here"), OF_VECTORS, ids=[f"{row[1]} {row[0]}" for row in OF_VECTORS])
def test_same_value_and_gradient_of_vectors(data, there, here, model, names) -> None:
    loss, y = loss_of(there, names), labels(data)
    expected = loss(features(data, model), y)
    vectors = [model(column)["sentence_embedding"] for column in features(data, model)]
    with torch.no_grad():
        guided = [names["guide"](column)["sentence_embedding"] for column in features(data, model)]
    known = dict(zip("apn", vectors, strict=False)) | dict(zip(("ga", "gp"), guided, strict=False))
    found = eval(here, {**names, **known, "y": y, "classifier": getattr(loss, "classifier", None)})
    assert_same(found, expected, model)


def test_every_loss_class_has_its_place_on_the_page() -> None:
    named = {name for name in theirs.__all__ if name.endswith(("Loss", "Negatives"))}
    assert len(named) > 25
    assert {name for name in named if f"`{name}" not in PAGE and f"{name}(" not in PAGE} == set()


def test_no_similarity_of_the_guide_is_so_close_to_its_threshold_that_rounding_decides(model, names) -> None:
    with torch.no_grad():
        anchors, *others = (names["guide"](column)["sentence_embedding"] for column in features("triplets", model))
        candidates = torch.cat([anchors, *others])
    similarity = cos_sim(anchors, candidates)
    gap = (similarity - similarity[:, N : 2 * N].diagonal()[:, None]).abs()
    gap[torch.arange(N), N + torch.arange(N)] = 1
    assert gap.min() > 1e-4


@pytest.mark.parametrize("data", ["pairs", "triplets"])
def test_the_guide_masks_some_and_not_all(data, model, names) -> None:
    """Else the rows with a guide would show nothing."""
    pairs = features(data, model)
    plain = float(ours.ContrastLoss(model, temperature=0.01)(pairs).detach())
    guided = float(ours.ContrastLoss(model, guide=names["guide"], temperature=0.01)(pairs).detach())
    assert 0 < guided < plain * 0.99
