"""What must hold of domain experts, and a run from rows to a model that routes by domain."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from nearfar import contrast, near
from nearfar.data import write_jsonl
from nearfar.data.domains import with_domain_labels
from nearfar.errors import InputError
from nearfar.losses.domains import DomainLoss
from nearfar.models.dropout import set_dropout
from nearfar.models.experts.domains import DomainExperts, add_domain_experts
from nearfar.recipes import moe_embed
from nearfar.training.run import train

A = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
B = torch.tensor([[1.0, 0.5], [0.5, 1.0], [0.0, 2.0]])


def targets(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the authors' loss aims: the largest entry of each row of softmax((aa' + bb') / 2), and of its transpose."""
    t = ((a @ a.T + b @ b.T) / 2).softmax(1)
    return t.argmax(1), t.T.argmax(1)


def authors(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Their loss: dot products, both directions, aimed at `targets`."""
    n = len(a)
    there, back = (near.weights(torch.eye(n)[target]) for target in targets(a, b))
    dot = {"similarity": "dot", "temperature": 1.0}
    return (contrast(a, b, there, **dot) + contrast(b, a, back, **dot)) / 2


def test_worked_example() -> None:
    assert contrast(A, B, temperature=1.0, similarity="dot").item() == pytest.approx(1.2148309, abs=1e-6)
    assert targets(A, B)[0].tolist() == [0, 1, 2]
    assert authors(A, B).item() == pytest.approx(1.2809887, abs=1e-6)
    a, b = (torch.nn.functional.normalize(x, dim=1) for x in (A, B))
    assert authors(a, b).item() == pytest.approx(1.0032012, abs=1e-6)
    assert contrast(A, B, temperature=1.0, symmetric=True).item() == pytest.approx(1.0032012, abs=1e-6)


def test_on_unit_vectors_the_authors_targets_are_the_diagonal(tiny_model_folder) -> None:
    torch.manual_seed(0)
    for _ in range(5):
        a, b = (torch.nn.functional.normalize(torch.randn(20, 8), dim=1) for _ in range(2))
        assert all(torch.equal(target, torch.arange(20)) for target in targets(a, b))
        expected = authors(a, b)
        assert contrast(a, b, temperature=1.0, symmetric=True).item() == pytest.approx(expected.item(), rel=1e-6)
    long = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    assert targets(long, long)[0].tolist() == [1, 1]  # and on others a long vector steals the target


PAIRS = Dataset.from_dict(
    {
        "anchor": ["the cat sits", "lost card", "a dog runs", "pay the bill", "blue fish", "bank loan"],
        "positive": ["cat on mat", "stolen card", "dog on grass", "bill payed", "fish in sea", "loan money"],
        "domain": ["animals", "money"] * 3,
    }
)
LABELLED = Dataset.from_dict(
    {
        "text": [f"{text} {i}" for i in range(4) for text in ("cat", "dog", "card lost", "pay bill")],
        "label": ["x", "y", "x", "z"] * 4,
        "domain": ["animals", "animals", "money", "money"] * 4,
    }
)


def test_labels_hold_the_domain() -> None:
    pairs, domains = with_domain_labels(PAIRS)
    assert domains == ["animals", "money"]
    assert pairs.column_names == ["anchor", "positive", "label"]
    assert [label % 2 for label in pairs["label"]] == [0, 1] * 3
    assert len(set(pairs["label"])) == 6, "equal labels would keep rows of one domain out of each other's batches"
    labelled, _ = with_domain_labels(LABELLED)
    label = list(labelled["label"])
    assert [value % 2 for value in label] == [0, 0, 1, 1] * 4
    assert label[:4] == label[4:8]
    assert len(set(label)) == 4, "label x of two domains is two labels"


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    """In which the experts differ."""
    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    set_dropout(model, 0.0)
    add_domain_experts(model, ["animals", "money"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    return model.train()


def embedded(model: SentenceTransformer, texts: list[str], domains: list[str]) -> torch.Tensor:
    """Each text alone, by name of its domain."""
    rows = [model(model.preprocess([t], task=d))["sentence_embedding"] for t, d in zip(texts, domains, strict=True)]
    return torch.cat(rows)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("in_domain", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
def test_loss_embeds_each_row_by_its_domain(model, labelled, in_domain, cached) -> None:
    rows, domains = with_domain_labels(LABELLED if labelled else PAIRS)
    texts = [list(rows[name]) for name in (["text"] if labelled else ["anchor", "positive"])]
    names = [domains[label % 2] for label in rows["label"]]
    labels = torch.tensor(list(rows["label"]))
    vectors = [torch.nn.functional.normalize(embedded(model, column, names), dim=1) for column in texts]
    s = vectors[0] @ vectors[-1].T / 0.1
    keep = torch.ones_like(s, dtype=torch.bool)
    if in_domain:
        keep &= torch.tensor([[a == b for b in names] for a in names])
    if labelled:
        keep &= ~torch.eye(len(s), dtype=torch.bool)
        p = (labels[:, None] == labels) & keep
    else:
        p = torch.eye(len(s), dtype=torch.bool)

    def one_way(s: torch.Tensor, keep: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        log = s - s.masked_fill(~keep, -torch.inf).logsumexp(1, keepdim=True)
        return -((p * log).sum(1) / p.sum(1)).mean()

    expected = one_way(s, keep, p) if labelled else (one_way(s, keep, p) + one_way(s.T, keep.T, p.T)) / 2
    loss = DomainLoss(model, in_domain=in_domain, temperature=0.1, symmetric=not labelled, cached=cached)
    found = loss([model.preprocess(column) for column in texts], labels)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    found.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_loss_refuses_rows_without_domains_and_a_dense_model(model, tiny_model_folder) -> None:
    with pytest.raises(ValueError, match="'label' column"):
        DomainLoss(model)([model.preprocess(["cat"])] * 2)
    with pytest.raises(ValueError, match="no DomainExperts"):
        DomainLoss(SentenceTransformer(str(tiny_model_folder), device="cpu"))


@pytest.mark.parametrize(("rows", "size"), [(PAIRS, 4), (LABELLED, 8)])
def test_run_from_rows_to_a_loaded_model(tiny_model_folder, tmp_path, rows, size) -> None:
    write_jsonl(list(rows), tmp_path / "rows.jsonl")
    held_out = Dataset.from_dict({"anchor": PAIRS["anchor"], "positive": PAIRS["positive"]})
    settings = {"batch_size": size, "max_steps": 4, "epochs": 9, "learning_rate": 1e-2, "in_domain": True}
    run = train(
        "moe_embed",
        tmp_path / "rows.jsonl",
        model=str(tiny_model_folder),
        evaluation=held_out,
        out=tmp_path / "run",
        **settings,
    )
    assert isinstance(run.model[0], DomainExperts)
    loaded = SentenceTransformer(str(tmp_path / "run" / "model"), device="cpu")
    answers = {}
    for task in ("animals", "money", None):
        answers[task] = loaded.encode(["the cat sits", "lost card"], task=task)
        assert np.abs(answers[task] - run.model.encode(["the cat sits", "lost card"], task=task)).max() < 1e-6
    assert np.abs(answers["animals"] - answers["money"]).max() > 1e-3
    assert np.abs(answers["animals"] - answers[None]).max() > 1e-3


def test_a_run_stopped_half_way_goes_on_to_the_same_model(tiny_model_folder, tmp_path) -> None:
    from nearfar.training.stages import train_plan

    def started() -> tuple[SentenceTransformer, Plan, moe_embed.Options]:
        torch.manual_seed(0)
        model = SentenceTransformer(str(tiny_model_folder), device="cpu")
        options = moe_embed.Options(batch_size=4, max_steps=4, epochs=9, learning_rate=1e-2, save_steps=2)
        return model, moe_embed.prepare(model, PAIRS, options), options

    whole, plan, options = started()
    train_plan(plan, options, tmp_path, 0)
    resumed, plan, options = started()
    shutil.rmtree(tmp_path / "checkpoints" / "checkpoint-4")
    train_plan(plan, options, tmp_path, 0)
    expected = whole.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in resumed.state_dict().items())


def test_rows_without_a_domain_are_refused(tiny_model_folder, tmp_path) -> None:
    with pytest.raises(InputError, match=r"anchor, positive, domain.* for moe_embed, got pairs"):
        train("moe_embed", PAIRS.remove_columns("domain"), model=str(tiny_model_folder), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_recipes_leave_the_domain_alone(tiny_model_folder, tmp_path) -> None:
    settings = {"batch_size": 4, "max_steps": 1}
    train("infonce", PAIRS, model=str(tiny_model_folder), out=tmp_path / "with", **settings)
    bare = PAIRS.remove_columns("domain")
    train("infonce", bare, model=str(tiny_model_folder), out=tmp_path / "without", **settings)
    with_, without = (
        SentenceTransformer(str(tmp_path / name / "model"), device="cpu").encode(["cat"])
        for name in ("with", "without")
    )
    assert np.array_equal(with_, without)
