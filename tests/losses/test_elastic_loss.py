"""A loss at several sizes of an encoder, against the paper's equations written out."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss, MultipleNegativesRankingLoss

from deep_models import saved
from nearfar.errors import InputError
from nearfar.losses import ContrastLoss
from nearfar.losses.elastic import ElasticLoss, Size, coordinate_divergence, fixed, one_layer_one_width, widths

COLUMNS = [
    ["the cat sits", "a dog runs on the grass", "blue sea and red fish", "bank"],
    ["a cat on the mat", "the dog", "fish swims in the sea today and tomorrow", "money loan"],
]
N, D = 4, 32


@pytest.fixture(scope="module")
def folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("bert", tiny_model_folder, tmp_path_factory.mktemp("deep"), normalize=True)


@pytest.fixture
def model(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu").train()


def in_batch(model: SentenceTransformer):
    return partial(ContrastLoss(model).loss_of_vectors, guided=None, temperature=0.05)


def elastic(model: SentenceTransformer, *sizes: Size, **options) -> ElasticLoss:
    return ElasticLoss(model, in_batch(model), lambda: list(sizes), **options)


def value_and_gradients(model: SentenceTransformer, loss) -> tuple[float, dict[str, torch.Tensor]]:
    model.zero_grad()
    value = loss([model.preprocess(column) for column in COLUMNS])
    value.backward()
    return value.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def pooled(model: SentenceTransformer, layer: int) -> list[torch.Tensor]:
    """Mean of the hidden states, by transformers alone."""
    found = []
    for column in COLUMNS:
        features = model.preprocess(column)
        names = ("input_ids", "attention_mask", "token_type_ids")
        inputs = {name: features[name] for name in names if name in features}
        hidden = model[0].model(**inputs, output_hidden_states=True).hidden_states[layer]
        mask = features["attention_mask"][..., None]
        found.append((hidden * mask).sum(1) / mask.sum(1))
    return found


def infonce(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(F.normalize(a, dim=1) @ F.normalize(b, dim=1).T * 20, torch.arange(len(a)))


@pytest.mark.parametrize("detach", [False, True])
def test_equals_the_equation(model, detach) -> None:
    n, d, t = 2, 8, 0.7

    def written_out(_) -> torch.Tensor:
        deep, shallow = pooled(model, N), pooled(model, n)
        terms = sum(infonce(*(x[:, :w] for x in pair)) for pair in (deep, shallow) for w in (d, D))
        teacher, student = torch.cat(deep), torch.cat(shallow)
        teacher = teacher.detach() if detach else teacher
        p, log_q = (teacher / t).softmax(-1), (student / t).log_softmax(-1)
        return terms + t * t * (p * (p.log() - log_q)).sum(1).mean()

    loss = elastic(model, Size(N, D), Size(n, D), Size(N, d), Size(n, d), kl_temperature=t, detach_teacher=detach)
    found, expected = value_and_gradients(model, loss), value_and_gradients(model, written_out)
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-6, name


def test_full_size_alone_is_four_times_the_base(model) -> None:
    loss = elastic(model, *[Size(N, D)] * 4)
    base, base_gradients = value_and_gradients(model, ContrastLoss(model))
    value, gradients = value_and_gradients(model, loss)
    assert base > 0.1
    assert value == pytest.approx(4 * base, rel=1e-6)
    for name, gradient in base_gradients.items():
        torch.testing.assert_close(gradients[name], 4 * gradient, rtol=1e-4, atol=1e-5)


def test_without_shallow_terms_it_is_matryoshka(model) -> None:
    sizes = (Size(N, D), Size(1, D, 0.0), Size(N, 8), Size(1, 8, 0.0))
    peer = MatryoshkaLoss(model, MultipleNegativesRankingLoss(model, scale=20.0), [D, 8])
    expected = value_and_gradients(model, lambda columns: peer(columns, None))
    found = value_and_gradients(model, elastic(model, *sizes, kl_weight=0.0))
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-3, atol=1e-5)


def test_one_forward_pass_for_all_sizes(model) -> None:
    passes = []
    model[0].model.embeddings.register_forward_hook(lambda *_: passes.append(1))
    loss = elastic(model, Size(4, 32), Size(3, 16), Size(2, 8), Size(1, 32))
    passes.clear()
    loss([model.preprocess(column) for column in COLUMNS]).backward()
    assert len(passes) == 1


def layer_of(name: str) -> int | None:
    return int(name.split("encoder.layer.")[1].split(".")[0]) + 1 if "encoder.layer." in name else None


def test_a_shallow_size_trains_no_layer_above_it(model) -> None:
    _, gradients = value_and_gradients(model, elastic(model, Size(2, 8), kl_weight=0.0))
    assert {layer_of(name) for name, g in gradients.items() if g.norm() > 0} == {None, 1, 2}


@pytest.mark.parametrize("detach", [False, True])
def test_the_divergence_alone(model, detach) -> None:
    sizes = (Size(N, D, 0.0), Size(2, D, 0.0))
    _, gradients = value_and_gradients(model, elastic(model, *sizes, detach_teacher=detach))
    reached = {layer_of(name) for name, g in gradients.items() if g.norm() > 0}
    assert reached == ({None, 1, 2} if detach else {None, 1, 2, 3, 4})


TEACHER = torch.tensor([[1, 0, -1, 0.5], [0.2, 0.1, 0, -0.3]])
STUDENT = torch.tensor([[0.5, 0.5, -0.5, 0], [0, 0.3, 0.1, -0.2]])


def test_divergence_by_the_numbers() -> None:
    assert coordinate_divergence(TEACHER, STUDENT).item() == pytest.approx(0.0586836, abs=1e-7)
    # sentence-transformers multiplies by T where this multiplies by T^2.
    assert coordinate_divergence(TEACHER, STUDENT, 0.3).item() / 0.3 == pytest.approx(0.0981758, abs=1e-6)
    assert coordinate_divergence(10 * TEACHER, 10 * STUDENT).item() == pytest.approx(1.0979698, abs=1e-6)
    assert coordinate_divergence(TEACHER, TEACHER).item() == 0
    assert coordinate_divergence(TEACHER, TEACHER + 3).item() == pytest.approx(0, abs=1e-7), "equal softmaxes"
    torch.manual_seed(0)
    for _ in range(50):
        assert coordinate_divergence(torch.randn(1, 4), torch.randn(1, 4)) > 0


def test_divergence_of_unit_vectors_is_next_to_nothing() -> None:
    torch.manual_seed(0)
    a, b = F.normalize(torch.randn(500, 384), dim=1), F.normalize(torch.randn(500, 384), dim=1)
    assert coordinate_divergence(a, b).item() == pytest.approx(0.0026, abs=1e-4)
    assert coordinate_divergence(a, -a).item() == pytest.approx(0.0052, abs=1e-4)
    assert coordinate_divergence(6 * a, 6 * b).item() > 0.05, "as long as MiniLM's vectors are before Normalize"


def test_draws_are_uniform_over_what_is_to_be_drawn() -> None:
    torch.manual_seed(0)
    draw = one_layer_one_width(6, 384, teacher=2.0, student=3.0)
    total, layers, narrow = 10_000, Counter(), Counter()
    for _ in range(total):
        deep, shallow, deep_cut, shallow_cut = draw()
        n, d = shallow.layers, deep_cut.dims
        assert (deep, deep_cut) == (Size(6, 384, 2.0), Size(6, d, 2.0))
        assert (shallow, shallow_cut) == (Size(n, 384, 3.0), Size(n, d, 3.0))
        layers[n] += 1
        narrow[d] += 1
    for found, kinds in ((layers, [1, 2, 3, 4, 5]), (narrow, [8, 16, 32, 64, 128, 256])):
        assert sorted(found) == kinds
        p = 1 / len(kinds)
        for kind in kinds:
            assert abs(found[kind] - total * p) < 3 * (total * p * (1 - p)) ** 0.5


def test_draws_divided_by_depth() -> None:
    draw = one_layer_one_width(6, 32, divided_by_depth=True)
    for _ in range(20):
        deep, shallow, deep_cut, shallow_cut = draw()
        assert deep.weight == deep_cut.weight == 1
        assert shallow.weight == shallow_cut.weight == 1 / shallow.layers


def test_widths() -> None:
    assert widths(768) == [8, 16, 32, 64, 128, 256, 512]
    assert widths(100, 25) == [25, 50]
    assert widths(8) == []


def test_fixed_sizes_share_the_weight() -> None:
    assert fixed(6, 384, [(2, 32), (6, 384)])() == [Size(2, 32, 0.5), Size(6, 384, 0.5)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: one_layer_one_width(1, 32), "model: expected a model with at least two layers, got one"),
        (lambda: one_layer_one_width(4, 8), "least_dims: must be less than the 8 dimensions of the model, got 8"),
        (lambda: fixed(4, 32, []), "sizes: expected at least one size, got none"),
        (lambda: fixed(4, 32, [(5, 8)]), "sizes: invalid size 5x8; must be 1x1 to 4x32"),
        (lambda: fixed(4, 32, [(0, 8)]), "sizes: invalid size 0x8"),
    ],
)
def test_sizes_that_cannot_be(call, message) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_a_base_that_embeds_by_itself_is_refused(model) -> None:
    with pytest.raises(ValueError, match=r"got ContrastLoss.*\.loss_of_vectors"):
        ElasticLoss(model, ContrastLoss(model, cached=True), lambda: [Size(N, D)])


def test_checkpoints_hold_no_second_copy_of_the_model(model) -> None:
    loss = elastic(model, Size(N, D))
    assert all(name.startswith("model.") for name in loss.state_dict())
