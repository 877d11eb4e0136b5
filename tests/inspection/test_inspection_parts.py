"""The parts of an inspection on vectors made by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from datasets import Dataset

from nearfar.data import Retrieval
from nearfar.errors import InputError
from nearfar.inspection.duplicates import near_duplicates, repeated_rows
from nearfar.inspection.flat import flat_map
from nearfar.inspection.material import keys
from nearfar.inspection.measuring import measure
from nearfar.inspection.neighbours import walk
from nearfar.inspection.reading import build
from nearfar.inspection.sizes import by_dims, default_dims, default_layers


def unit(x) -> np.ndarray:
    x = np.asarray(x, dtype=np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def random_unit(n: int, d: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, d)))


def pairs(n: int) -> Dataset:
    return Dataset.from_dict({"anchor": [f"a{i}" for i in range(n)], "positive": [f"b{i}" for i in range(n)]})


@pytest.mark.parametrize("block", [7, 10_000])
def test_walk_is_exact_in_any_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.inspection.neighbours._BLOCK", block)
    a, b = (torch.from_numpy(random_unit(n, 8, n)) for n in (23, 31))
    couples = np.array([[i, (3 * i) % 31] for i in range(20)] + [[0, 5]])
    similarity = (a @ b.T).numpy()
    # Of two rows the nearest is barred, where it would be the first rival.
    barred = np.array([[i, int(similarity[i].argmax())] for i in (1, 2)])
    assert not {tuple(each) for each in barred.tolist()} & {tuple(each) for each in couples.tolist()}
    found = walk(a, b, paired=keys(couples, 31), barred=keys(barred, 31), k=4, rivals=2)
    for i in range(23):
        own = [j for x, j in couples if x == i]
        others = [j for j in range(31) if j not in own and [i, j] not in barred.tolist()]
        order = sorted(range(31), key=lambda j, i=i: -similarity[i, j])
        assert found.nearest[i].tolist() == order[:4]
        assert found.rivals[i].tolist() == [j for j in order if j in others][:2]
        if own:
            best = max(similarity[i, own])
            assert float(found.own[i]) == pytest.approx(best)
            assert int(found.partner[i]) == own[int(np.argmax(similarity[i, own]))]
            assert int(found.above[i]) == sum(similarity[i, j] > best for j in others)
        else:
            assert bool(found.own[i].isnan())
            assert int(found.above[i]) == 0


def test_walk_of_one_set_goes_by_labels_and_leaves_itself_out() -> None:
    x = torch.from_numpy(unit([[1, 0], [0.9, 0.1], [0.8, 0.2], [0, 1]]))
    found = walk(x, x, labels=torch.tensor([0, 1, 0, 2]), k=1, rivals=1)
    assert found.nearest[:, 0].tolist() == [1, 0, 1, 2]
    # 0 and 2 belong together, and 1 lies between them.
    assert found.partner[:3].tolist()[::2] == [2, 0]
    assert found.rivals[:, 0].tolist() == [1, 0, 1, 2]
    assert found.above.tolist() == [1, 0, 1, 0]
    assert found.own.isnan().tolist() == [False, True, False, True]


def test_measures_of_pairs_by_hand() -> None:
    material = build(pairs(4), 100)
    a = unit(np.eye(4))
    b = unit([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, -1]])
    found = measure(material, (a, b))
    # Three pairs coincide, and the two of the last lie opposite each other.
    assert found.measures["alignment"] == pytest.approx(4 / 4)
    assert found.per_item["alignment"].tolist() == pytest.approx([0, 0, 0, 4])
    assert found.measures["positive_cosine"] == pytest.approx(0.5)
    assert found.measures["negative_cosine"] == pytest.approx(0)
    assert found.measures["separation"] == pytest.approx(0.75)
    assert found.measures["false_negative_share"] == pytest.approx(0.25)
    assert found.neighbours.above.tolist() == [0, 0, 0, 3]
    assert found.measures["tolerance"] is None
    assert found.measures["spearman"] is None
    assert len(found.similarities["pairs"]) == 4


def test_a_planted_false_negative_is_the_first_rival() -> None:
    n = 50
    a = random_unit(n, 32)
    b = unit(a + 0.5 * random_unit(n, 32, 1))
    b[17] = unit(a[[3]] + 0.05 * random_unit(1, 32, 2))[0]
    found = measure(build(pairs(n), 100), (a, b)).neighbours
    assert found.above.nonzero().flatten().tolist() == [3, 17]
    assert int(found.rivals[3, 0]) == 17


def test_all_equal_and_one_dimensional_spaces() -> None:
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(12)]})
    material = build(rows, 100)
    same = measure(material, (unit(np.ones((12, 6))),))
    assert same.measures["uniformity"] == pytest.approx(0, abs=1e-6)
    assert same.measures["effective_rank"] == pytest.approx(1, abs=1e-3)
    assert same.measures["iso_score"] is None
    assert same.spectrum.size == 0
    assert any("spectrum" in note for note in same.notes)
    line = np.zeros((12, 6), dtype=np.float32)
    line[:, 0] = [1, -1] * 6
    found = measure(material, (line,))
    assert found.measures["iso_score"] == pytest.approx(0, abs=1e-6)
    assert found.measures["effective_rank"] == pytest.approx(1)
    # Of 66 couples 36 lie opposite each other, at a squared distance of 4, and 30 coincide.
    assert found.measures["uniformity"] == pytest.approx(-np.log((30 + 36 * np.exp(-8)) / 66), abs=1e-5)


def test_evenly_spread_vectors() -> None:
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(2000)]})
    found = measure(build(rows, 5000), (random_unit(2000, 16),)).measures
    # E[exp(-2 |x - y|^2)] on the sphere of 16 dimensions is close to exp(-4 + 16 / (2 * 16)).
    assert found["uniformity"] == pytest.approx(4 - 0.5, abs=0.03)
    assert found["mean_cosine"] == pytest.approx(0, abs=0.01)
    assert found["effective_rank"] == pytest.approx(16, abs=0.05)
    assert found["iso_score"] == pytest.approx(1, abs=0.02)
    assert found["hubness"] == pytest.approx(0.5, abs=0.5)


def test_labels_give_tolerance_and_strangers_of_other_labels() -> None:
    labels = ["x"] * 5 + ["y"] * 5 + ["alone"]
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(11)], "label": labels})
    material = build(rows, 100)
    assert material.labels is not None
    assert material.partners is not None
    assert material.anchors.tolist() == list(range(10))
    assert (material.labels[material.anchors] == material.labels[material.partners]).all()
    assert (material.anchors != material.partners).all()
    assert (material.labels[material.strangers] != material.labels[material.anchors][:, None]).all()
    directions = {"x": [1, 0, 0], "y": [0, 1, 0], "alone": [0, 0, 1]}
    found = measure(material, (unit([directions[label] for label in labels]),))
    assert found.measures["tolerance"] == pytest.approx(1)
    assert found.measures["separation"] == 1
    assert found.measures["false_negative_share"] == 0
    assert found.measures["alignment"] is None
    assert set(found.similarities) == {"same label", "other labels"}


def test_scored_pairs_belong_together_where_scores_are_high() -> None:
    scores = [5.0, 4.5, 4.0, 2.5, 1.0, 0.0]
    n = len(scores)
    rows = Dataset.from_dict(
        {"sentence1": [f"a{i}" for i in range(n)], "sentence2": [f"b{i}" for i in range(n)], "score": scores}
    )
    material = build(rows, 100)
    assert material.paired.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert material.similar["scored low"].tolist() == [[4, 4], [5, 5]]
    # Whatever their score, nothing is a stranger to what it was scored with.
    assert all(j != i for i, row in zip(material.anchors, material.strangers, strict=True) for j in row)
    a = unit(np.eye(n, 12))
    angles = np.linspace(0, np.pi / 2, n)
    b = unit(np.eye(n, 12) * np.cos(angles)[:, None] + np.eye(n, 12, k=6) * np.sin(angles)[:, None])
    found = measure(material, (a, b))
    assert found.measures["spearman"] == pytest.approx(1)
    assert found.measures["positive_cosine"] == pytest.approx(np.cos(angles[:3]).mean(), abs=1e-6)


def test_scores_of_which_none_is_high_leave_no_pairs() -> None:
    texts = [f"t{i}" for i in range(8)]
    rows = Dataset.from_dict({"sentence1": texts[:4], "sentence2": texts[4:], "score": [0.1, 0.2, 0.3, 0.4]})
    material = build(rows, 100)
    assert material.partners is None
    found = measure(material, (random_unit(4, 8), random_unit(4, 8, 1)))
    assert found.measures["alignment"] is None
    assert found.measures["false_negative_share"] is None
    assert found.measures["spearman"] is not None
    assert set(found.similarities) == {"scored low", "random couples"}


def test_given_negatives_are_candidates_and_named_as_such() -> None:
    rows = Dataset.from_dict({"anchor": ["a0", "a1"], "positive": ["p0", "p1"], "negative": ["n0", "p0"]})
    material = build(rows, 100)
    assert list(material.sides[1].items) == ["p0", "p1", "n0"]
    assert material.similar["given negatives"].tolist() == [[0, 2], [1, 0]]
    vectors = (unit([[1, 0], [0, 1]]), unit([[1, 1], [0, 1], [1, 0]]))
    found = measure(material, vectors).neighbours
    assert found.above.tolist() == [1, 0]
    assert int(found.rivals[0, 0]) == 2


def test_equal_texts_are_one_item_and_no_stranger_to_themselves() -> None:
    rows = Dataset.from_dict({"anchor": ["q", "q", "r", "s"], "positive": ["x", "y", "x", "q"]})
    material = build(rows, 100)
    assert [list(side.items) for side in material.sides] == [["q", "r", "s"], ["x", "y", "q"]]
    assert list(material.sides[1].origins) == [0, 1, 3]
    assert material.barred.tolist() == [[0, 2]]
    # q belongs to x and y and is itself: nothing is left that would be a stranger.
    assert (material.strangers[material.anchors == 0] == -1).all()
    assert not material.strangers[material.anchors == 1][0].tolist().count(0)


def test_retrieval_takes_the_answers_and_fills_up() -> None:
    data = Retrieval(
        {f"d{i}": f"text {i}" for i in range(20)},
        {f"q{i}": f"query {i}" for i in range(5)},
        {f"q{i}": {f"d{i}": 1} for i in range(5)},
    )
    material = build(data, 10)
    assert (material.total, material.looked_at) == (5, 5)
    assert len(material.sides[1]) == 10
    assert list(material.sides[1].origins[:5]) == ["d0", "d1", "d2", "d3", "d4"]
    assert any("10 of 20 documents" in note for note in material.notes)
    assert len(build(data, 3).sides[0]) == 3


def test_what_is_drawn_follows_the_seed() -> None:
    rows = pairs(100)
    first, again, other = (build(rows, 20, seed) for seed in (0, 0, 1))
    assert list(first.sides[0].items) == list(again.sides[0].items) != list(other.sides[0].items)
    assert (first.strangers == again.strangers).all()
    assert first.looked_at == 20
    assert first.total == 100


@pytest.mark.parametrize("block", [5, 10_000])
def test_near_duplicates_are_all_found_once(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.inspection.duplicates._BLOCK", block)
    x = random_unit(30, 16)
    x[7] = unit(x[[20]] + 0.01 * random_unit(1, 16, 1))[0]
    x[29] = x[2]
    similarity = x @ x.T
    close = [(i, j) for i, j in itertools.combinations(range(30), 2) if similarity[i, j] >= 0.4]
    count, found = near_duplicates(torch.from_numpy(x), 0.4)
    assert count == len(close)
    assert {(i, j) for i, j, _ in found} == set(close)
    assert [(i, j) for i, j, _ in found[:2]] == [(2, 29), (7, 20)]
    assert near_duplicates(torch.from_numpy(x), 0.4, most=1) == (count, found[:1])


def test_repeated_rows_and_contradictions() -> None:
    rows = Dataset.from_dict({"text": ["Hello you", "other", "hello  YOU", "other", "new"], "label": list("xyzyx")})
    found = repeated_rows(rows)
    assert (found.count, found.contradictions) == (2, 1)
    assert found.examples == [(2, 0, True), (3, 1, False)]
    couples = Dataset.from_dict({"anchor": ["a", "a", "a"], "positive": ["b", "c", "b"]})
    assert repeated_rows(couples).examples == [(2, 0, False)]
    corpus = Retrieval({"d1": "one", "d2": "One"}, {"q": "?"}, {"q": {"d1": 1}})
    assert repeated_rows(corpus).examples == [("d2", "d1", False)]


def test_dims_are_prefixes_at_unit_length() -> None:
    x = random_unit(40, 8)
    material = build(pairs(40), 100)
    y = unit(x + 0.5 * random_unit(40, 8, 1))
    found = by_dims(material, (x, y), [2, 8])
    assert [size.dims for size in found] == [2, 8]
    whole, part = measure(material, (x, y)), measure(material, (unit(x[:, :2]), unit(y[:, :2])))
    for name in ("uniformity", "positive_cosine", "hubness"):
        expected = [part.measures[name], whole.measures[name]]
        assert [size.measures[name] for size in found] == pytest.approx(expected, abs=1e-6), name
    assert default_dims(384) == [8, 16, 32, 64, 128, 256, 384]
    assert default_dims(8) == [8]
    assert default_layers(6) == [1, 2, 3, 4, 5, 6]
    assert default_layers(24) == list(range(2, 25, 2))
    with pytest.raises(InputError, match="give 1 to 8"):
        by_dims(material, (x, x), [9])


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_maps_are_the_same_each_time_and_keep_groups_apart(method: str) -> None:
    x = unit(np.repeat(np.eye(3, 20), 15, axis=0) + 0.02 * np.random.default_rng(0).normal(size=(45, 20)))
    first, again = (flat_map(x, method) for _ in range(2))
    assert first.shape == (45, 2)
    assert (first == again).all()
    groups = first.reshape(3, 15, 2)
    inside = np.linalg.norm(groups - groups.mean(1, keepdims=True), axis=2).max()
    middles = groups.mean(1)
    assert min(np.linalg.norm(middles[i] - middles[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 2 * inside
    assert np.isfinite(flat_map(unit(np.ones((6, 4))), method)).all()


def test_unknown_map_and_too_few_rows() -> None:
    with pytest.raises(InputError, match="pca, tsne"):
        flat_map(np.eye(4), "umap")
    with pytest.raises(InputError, match="at least 3"):
        build(Dataset.from_dict({"text": ["a", "b", "a"]}), 100)
    rows = Dataset.from_dict({"dialogue_id": ["1"] * 3, "turns": [[{"speaker": "a", "text": "b"}]] * 3})
    with pytest.raises(InputError, match="dialogues"):
        build(rows, 100)
