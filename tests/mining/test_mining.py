"""Neighbours, surface similarity, inverse propensities and draws: what recipes that find their own pairs rely on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nearfar.errors import InputError
from nearfar.mining import (
    draw,
    drawn_pairs,
    drawn_rows,
    jaccard,
    levenshtein,
    mine,
    nearest,
    negative_log_weights,
    neighbours,
    positive_log_weights,
    probabilities,
    surface_of,
)

SEM, SURF = (
    torch.tensor([[0.95, 0.9, 0.9, 0.3]], dtype=torch.float64),
    torch.tensor([[1.0, 0.9, 0.3, 0.2]], dtype=torch.float64),
)
GUITAR = [
    "A man is playing a guitar",
    "a man is not playing a guitar",
    "someone strums an instrument",
    "a woman is playing a flute",
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 1, [0.147287, 0.155039, 0.465116, 0.232558]),
        (1, 0, [0.311475, 0.295082, 0.295082, 0.098361]),
        (2, 0.5, [0.262629, 0.248461, 0.430347, 0.058563]),
    ],
)
def test_positives_worked_by_hand(a, b, expected) -> None:
    found = probabilities(positive_log_weights(SEM, SURF, a=a, b=b, clip=0.1))[0]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_negatives_worked_by_hand() -> None:
    semantic, surface = (
        torch.tensor([[0.9, 0.4, 0.4, 0.1]], dtype=torch.float64),
        torch.tensor([[0.5, 0.8, 0.1, 0.0]], dtype=torch.float64),
    )
    found = probabilities(negative_log_weights(semantic, surface, a=1, b=1, clip=0.1, t_fn=0.95))[0]
    assert found.tolist() == pytest.approx([0.041958, 0.629371, 0.139860, 0.188811], abs=1e-6)
    cut = probabilities(negative_log_weights(semantic, surface, a=1, b=1, clip=0.1, t_fn=0.9))[0]
    assert cut[0] == 0
    assert cut[1:].tolist() == pytest.approx((found[1:] / found[1:].sum()).tolist())


def test_exponents_of_zero() -> None:
    zero = torch.tensor([[0.0, -0.2, 0.9, 0.3]], dtype=torch.float64)
    assert probabilities(positive_log_weights(zero, SURF, a=0, b=0)).tolist() == [[0.25] * 4]
    assert probabilities(negative_log_weights(zero, SURF, a=0, b=0)).tolist()[0] == pytest.approx(
        [1 / 3, 1 / 3, 0, 1 / 3]
    )
    by_meaning = [probabilities(positive_log_weights(SEM, surface, a=3, b=0)) for surface in (SURF, 1 - SURF)]
    torch.testing.assert_close(*by_meaning)


def test_more_words_less_positive_more_meaning_more_positive() -> None:
    rising = torch.linspace(0.1, 1, 10).double()[None]
    same = torch.full_like(rising, 0.7)
    assert (positive_log_weights(same, rising, a=2, b=1, clip=0.1).diff() < 0).all()
    assert (positive_log_weights(rising, same, a=2, b=1, clip=0.1).diff() > 0).all()
    assert (negative_log_weights(same, rising, a=1, b=1, clip=0.05)[:, :-1].diff() > 0).all()


@pytest.mark.parametrize(("b", "clip"), [(1.0, 0.1), (2.5, 0.3), (0.5, 0.01)])
def test_no_weight_exceeds_the_bound_of_its_clip(b, clip) -> None:
    semantic, surface = torch.rand(2, 50, 40, generator=generator()).double()
    semantic[0, 0], surface[0, 0] = 1, 0
    largest = positive_log_weights(semantic, surface, a=1, b=b, clip=clip).max().exp()
    assert largest == pytest.approx(clip**-b)
    assert negative_log_weights(semantic, surface, a=1, b=b, clip=clip).max().exp() <= clip**-b * (1 + 1e-12)


def test_long_lists_neither_vanish_nor_overflow() -> None:
    semantic, surface = torch.rand(2, 3, 5000, generator=generator())
    q = probabilities(positive_log_weights(semantic, surface, a=100, b=100, clip=1e-3))
    torch.testing.assert_close(q.sum(1), torch.ones(3))
    assert probabilities(torch.full((1, 3), -torch.inf)).tolist() == [[0, 0, 0]]


def test_draws_by_propensity_are_unbiased_once_weighted() -> None:
    """Values 1, 2, 3, 10 seen with chances .5, .3, .15, .05: their plain mean is 4, and the naive one 2.05."""
    values, propensity = (
        torch.tensor([1.0, 2, 3, 10], dtype=torch.float64),
        torch.tensor([[0.5, 0.3, 0.15, 0.05]], dtype=torch.float64),
    )
    seen = draw(propensity.log().expand(400_000, -1), generator=generator())[:, 0]
    weight = positive_log_weights(torch.ones(1, 4).double(), propensity, a=0, b=1, clip=0.01).exp()[0, seen] * 0.25
    assert float(values[seen].mean()) == pytest.approx(2.05, abs=0.02)
    assert float((values[seen] * weight).mean()) == pytest.approx(4.0, abs=0.06)
    assert float((values[seen] * weight).sum() / weight.sum()) == pytest.approx(4.0, abs=0.06)


def test_draws_follow_their_probabilities() -> None:
    log_weights = negative_log_weights(
        torch.tensor([[0.9, 0.75, 0.4, 0.4, 0.1]]), torch.tensor([[0.5, 0.9, 0.8, 0.1, 0.0]]), t_fn=0.75
    )
    n, q = 100_000, probabilities(log_weights)[0]
    seen = draw(log_weights.expand(n, -1), generator=generator())[:, 0].bincount(minlength=5) / n
    assert seen[:2].tolist() == [0, 0]
    assert ((seen - q).abs() <= 4 * (q * (1 - q) / n).sqrt()).all()


def test_draws_are_different_and_end_where_candidates_end() -> None:
    log_weights = torch.tensor([[0.0, -torch.inf, 1.0, 2.0], [-torch.inf] * 4, [0.0, 0.0, 0.0, 0.0]])
    found = draw(log_weights, 5, generator())
    assert sorted(found[0].tolist()) == [-1, -1, 0, 2, 3]
    assert found[1].tolist() == [-1] * 5
    assert sorted(found[2].tolist()) == [-1, 0, 1, 2, 3]
    with pytest.raises(ValueError, match="NaN"):
        draw(torch.tensor([[torch.nan]]))


@pytest.mark.parametrize(
    ("make", "expected"),
    [(jaccard, [1, 5 / 6, 0, 3 / 7]), (levenshtein, [1, 6 / 7, 0, 4 / 6])],
    ids=["jaccard", "levenshtein"],
)
def test_surface_worked_by_hand(make, expected) -> None:
    everything = np.tile(np.arange(4), (4, 1))
    found = make(GUITAR)(np.arange(4), everything)
    assert found[0].tolist() == pytest.approx(expected)
    assert found == pytest.approx(found.T)
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("make", [jaccard, levenshtein, lambda texts: jaccard(texts, idf=True)])
def test_surface_of_texts_without_words(make) -> None:
    surface = make(["...", "?", "a word"])
    assert surface(np.array([0, 0]), np.array([[0, 1, 2]] * 2)).tolist() == [[1, 1, 0]] * 2
    with pytest.raises(InputError, match=r"^text: "):
        make(["...", "?"])


def test_rare_words_in_common_count_more_than_frequent_ones() -> None:
    texts = ["the zebra", "the cat", "a zebra", *(f"the {word}" for word in ("dog", "house", "tree", "car", "sea"))]
    plain, weighted = (jaccard(texts, idf)(np.array([0]), np.array([[1, 2]]))[0] for idf in (False, True))
    assert plain[0] == plain[1]
    assert weighted[0] < plain[0] < weighted[1]


def test_surfaces_by_name() -> None:
    rows, candidates = np.array([0]), np.array([[1, 2, 3]])
    for name, made in {
        "jaccard": jaccard(GUITAR),
        "idf": jaccard(GUITAR, idf=True),
        "levenshtein": levenshtein(GUITAR),
    }.items():
        np.testing.assert_array_equal(surface_of(name, GUITAR)(rows, candidates), made(rows, candidates))  # type: ignore[arg-type]


def test_levenshtein_equals_the_plain_recursion() -> None:
    words = np.random.default_rng(0).choice(list("abc"), size=(12, 7))
    texts = [" ".join(row[: 1 + i % 7]) for i, row in enumerate(words)]

    def edits(a: list[str], b: list[str]) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))

    found = levenshtein(texts)(np.arange(12), np.tile(np.arange(12), (12, 1)))
    split = [text.split() for text in texts]
    assert found == pytest.approx(np.array([[1 - edits(a, b) / max(len(a), len(b)) for b in split] for a in split]))


@pytest.mark.parametrize("block", [1, 300, 2**24])
def test_nearest_in_blocks_is_the_whole_matrix(block, monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    vectors = torch.randn(57, 5, generator=generator())
    unit = torch.nn.functional.normalize(vectors)
    expected = (unit @ unit.T).fill_diagonal_(-2).topk(6)
    rows, cosines = nearest(vectors, 6)
    assert rows.tolist() == expected.indices.tolist()
    torch.testing.assert_close(cosines, expected.values)
    assert nearest(vectors, 500)[0].shape == (57, 56)


@pytest.fixture
def corpus() -> tuple[list[str], torch.Tensor]:
    """Twelve sentences in three directions, then duplicates of some that differ in case and spaces."""
    words = ["cat", "dog", "fish"], ["red", "blue", "green", "white"]
    texts = [f"the {colour} {animal}" for animal in words[0] for colour in words[1]]
    vectors = torch.eye(3, 6).repeat_interleave(4, 0) + 0.4 * torch.randn(12, 6, generator=generator(1))
    again = [0, 5, 5]
    return texts + [f"The  {texts[i][4:].upper()}" for i in again], torch.cat([vectors, vectors[again]])


def test_candidates_are_disjoint_and_never_the_sentence(corpus) -> None:
    texts, vectors = corpus
    near, far = mine(texts, vectors.requires_grad_(), jaccard(texts), 3, 5, 4, generator())
    assert not near.semantic.requires_grad
    for i, text in enumerate(texts):
        same = {j for j, other in enumerate(texts) if other.lower().split() == text.lower().split()}
        there = far.semantic[i] > -torch.inf
        negatives = set(far.rows[i][there].tolist())
        positives = near.rows[i].tolist()
        assert positives[0] in same
        assert not same & {*positives[1:], *negatives}
        assert not {texts[j].lower() for j in positives} & {texts[j].lower() for j in negatives}
        assert len(negatives) >= 5
    cosine = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[far.rows.long()], dim=2)
    there = far.semantic > -torch.inf
    torch.testing.assert_close(far.semantic[there], cosine[there].detach())
    shared = jaccard(texts)(np.arange(len(texts)), far.rows.numpy())
    assert far.surface.numpy() == pytest.approx(shared)


def test_nearest_candidates_are_the_positives(corpus) -> None:
    texts, vectors = corpus
    near, far = mine(texts, vectors, jaccard(texts), 3, 8, 0)
    assert near.rows.shape == (15, 4)
    assert far.rows.shape == (15, 8)
    assert (near.semantic[:, 1:].min(1).values >= far.semantic.max(1).values).all()


def test_random_negatives_alone_can_be_drawn(corpus) -> None:
    texts, vectors = corpus
    _, far = mine(texts, vectors, jaccard(texts), 3, 0, 30, generator())
    drawn = draw(negative_log_weights(far.semantic, far.surface, t_fn=1.0), 1, generator())
    assert (drawn >= 0).all()


def test_tiny_corpora(corpus) -> None:
    texts, vectors = corpus
    near, far = mine(texts[:2], vectors[:2], jaccard(texts[:2]))
    assert near.rows.tolist() == [[0], [1]]
    assert far.rows[:, 0].tolist() == [1, 0]
    with pytest.raises(InputError, match=r"^text: "):
        mine(["a b"] * 3, vectors[:3], jaccard(["a b"] * 3))


def test_nothing_similar_is_drawn_as_negative_and_the_same_seed_draws_the_same(corpus) -> None:
    texts, vectors = corpus
    near, far = mine(texts, vectors, jaccard(texts), 3, 8, 4, generator())
    towards = positive_log_weights(near.semantic, near.surface)
    away = negative_log_weights(far.semantic, far.surface, t_fn=0.3)
    assert (far.semantic >= 0.3).any(), "nothing would be cut, so the test would show nothing"
    unit = torch.nn.functional.normalize(vectors)
    draws = [
        torch.cat([drawn_rows(near.rows, towards, far.rows, away, 2, g) for _ in range(3500)])
        for g in map(generator, (7, 7, 8))
    ]
    anchors, _, *negatives = draws[0].long().T
    assert len(anchors) * 2 > 10**5
    for negative in negatives:
        assert ((unit[anchors] * unit[negative]).sum(1) < 0.3 + 1e-6).all()
        assert all(
            texts[i].lower().split() != texts[j].lower().split()
            for i, j in {*zip(anchors.tolist(), negative.tolist(), strict=True)}
        )
    assert (negatives[0] != negatives[1]).all()
    assert draws[0].tolist() == draws[1].tolist() != draws[2].tolist()


def test_pairs_as_rows(corpus) -> None:
    texts, vectors = corpus
    near, far = mine(texts, vectors, jaccard(texts), 3, 8, 4, generator())
    towards, away = torch.zeros(near.rows.shape), torch.zeros(far.rows.shape)
    assert drawn_pairs(texts, near, towards, far, away).column_names == ["anchor", "positive", "negative"]
    away[3] = -torch.inf
    rows = drawn_pairs(texts, near, towards, far, away, negatives=2, draws=3)
    assert rows.column_names == ["anchor", "positive", "negative_1", "negative_2"]
    assert list(rows["anchor"]) == [text for i, text in enumerate(texts) if i != 3] * 3
    with pytest.raises(InputError, match=r"^text: .*enough negatives \(1\)"):
        drawn_pairs(texts, near, towards, far, torch.full_like(away, -torch.inf))
