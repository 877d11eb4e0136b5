"""`nearfar.inspect`: from data and a model to what is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from sentence_transformers import SentenceTransformer

import nearfar
from nearfar.errors import InputError
from nearfar.inspection import MEASURES, Inspection
from nearfar.inspection.page import inspection_page
from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.models.encoding_files import encode_file

from .helpers import NOUNS, PAIRS


def write(folder: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def look(model: Any, data: Any, **options: Any) -> Inspection:
    found = nearfar.inspect(model, data, **{"layers": [], "dims": [], **options})
    json.dumps(found.as_dict(), allow_nan=False)
    assert set(found.measures) == set(MEASURES)
    return found


def pair_rows() -> list[dict[str, Any]]:
    return [{"anchor": a, "positive": b} for a, b in PAIRS]


def test_planted_rows_are_named_by_their_lines(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    rows = pair_rows()
    # Line 5's own positive belongs to something else, and line 41 has its text nearly word by word.
    rows[4] = {"anchor": "loud music band plays quiet song", "positive": "snow"}
    rows[40] = {"anchor": "wind", "positive": "loud music band plays quiet song ."}
    rows.append({"anchor": PAIRS[9][0].upper(), "positive": PAIRS[9][1]})
    path = write(tmp_path, rows)
    path.write_text("\n" + path.read_text())
    found = look(tiny_model, path, near_duplicate=0.999)
    planted = next(each for each in found.false_negatives if each.item.place["line"] == 6)
    assert planted.item.place == {"file": str(path), "line": 6}
    assert planted.negative.place == {"file": str(path), "line": 42}
    assert planted.negative.text == "loud music band plays quiet song ."
    assert planted.positive.text == "snow"
    assert planted.negative_cosine > planted.positive_cosine
    assert (found.repeated, found.repeats[0].row["line"], found.repeats[0].earlier["line"]) == (1, len(rows) + 1, 11)
    # This model ignores case, so the copy is the same vector.
    copies = [(each.first.place["line"], each.second.place["line"]) for each in found.near_duplicates]
    assert (11, len(rows) + 1) in copies
    assert found.false_negative_rows == round((found.measures["false_negative_share"] or 0) * found.items["anchor"])


def test_measures_are_those_of_geometry(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    found = look(tiny_model, write(tmp_path, pair_rows()))
    a, b = (encode(tiny_model, [pair[side] for pair in PAIRS]) for side in (0, 1))
    assert found.measures["alignment"] == pytest.approx(nearfar.geometry.alignment(a, b), abs=1e-6)
    both = np.concatenate([a, b])
    for name in ("uniformity", "isotropy", "effective_rank", "iso_score", "mean_cosine"):
        assert found.measures[name] == pytest.approx(getattr(nearfar.geometry, name)(both), abs=1e-5), name
    assert found.measures["tolerance"] is None
    assert (found.schema, found.total, found.looked_at, found.sampled) == ("pairs", 90, 90, False)
    assert sum(found.spectrum) == pytest.approx(1)
    assert len(found.points) == 180
    assert {point.group for point in found.points} == {"anchor", "positive"}
    assert found.gap is None


def test_by_layer_and_dimension_end_in_the_whole_model(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    found = look(tiny_model, write(tmp_path, pair_rows()), layers=None, dims=None)
    assert [size.layers for size in found.layers] == [1, 2]
    assert [size.dims for size in found.sizes] == [8, 16, 32]
    for last in (found.layers[-1], found.sizes[-1]):
        assert last.measures["alignment"] == pytest.approx(found.measures["alignment"], abs=1e-5)
    assert found.layers[0].measures["alignment"] != pytest.approx(found.measures["alignment"], abs=1e-5)
    with pytest.raises(InputError) as error:
        look(tiny_model, write(tmp_path, pair_rows()), layers=[3])
    assert error.value.field == "layers"


def test_a_sample_is_reported_and_seeded(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    path = write(tmp_path, [*pair_rows(), pair_rows()[0]])
    first, again, other = (look(tiny_model, path, rows=30, seed=seed).as_dict() for seed in (3, 3, 4))
    assert first["rows"] == {"total": 91, "looked_at": 30, "sampled": True, "seed": 3}
    assert "30 of 91" in first["notes"][0]
    assert first["repeated_rows"]["rows"] == 1  # the 91st, whether drawn or not
    for found in (first, again):
        del found["seconds"]
    assert first == again
    assert first["measures"] != other["measures"]


def test_labels_colour_the_map_and_are_named(tiny_model: SentenceTransformer) -> None:
    rows = Dataset.from_dict({"text": [a for a, _ in PAIRS], "label": [a.split()[1] for a, _ in PAIRS]})
    found = look(tiny_model, rows)
    vectors = encode(tiny_model, rows["text"][:])
    assert found.measures["tolerance"] == pytest.approx(nearfar.geometry.tolerance(vectors, rows["label"][:]), abs=1e-5)
    assert {point.group for point in found.points} == set(NOUNS)
    # Rows of different labels are negatives, however similar.
    assert (found.false_negatives, found.false_negative_rows) == ([], 0)
    assert sum(pair.rows for pair in found.confusions) == found.confused_rows > 0
    assert found.measures["confused_share"] == pytest.approx(found.confused_rows / len(rows))
    similarity = vectors @ vectors.T - 2 * np.eye(len(vectors))
    labels, nearest = np.array(rows["label"][:]), similarity.argmax(1)
    for pair in found.confusions:
        first, second = (labels == label for label in pair.labels)
        either = (first & second[nearest]) | (second & first[nearest])
        assert (pair.rows, pair.of) == (int(either.sum()), int((first | second).sum()))
        for each in pair.examples:
            assert {each.item.label, each.other.label} == set(pair.labels)
            assert each.cosine > each.own_cosine
    assert "false negative" not in inspection_page(found).html()
    numbered = rows.map(lambda row: {"label": NOUNS.index(row["label"])})
    assert look(tiny_model, numbered).measures == found.measures


def test_texts_without_labels_have_no_positives(tiny_model: SentenceTransformer) -> None:
    found = look(tiny_model, Dataset.from_dict({"text": [a for a, _ in PAIRS]}))
    there = {name for name, value in found.measures.items() if value is not None}
    assert there == {
        "uniformity", "negative_cosine", "mean_cosine", "isotropy", "iso_score", "effective_rank", "hubness"
    }  # fmt: skip
    assert set(found.similarities) == {"random pairs"}
    assert found.false_negatives == []


def test_a_beir_folder_names_ids(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    write(tmp_path, [{"_id": f"d{i}", "text": b} for i, (_, b) in enumerate(PAIRS)], "corpus.jsonl")
    write(tmp_path, [{"_id": f"q{i}", "text": a} for i, (a, _) in enumerate(PAIRS[:30])], "queries.jsonl")
    (tmp_path / "qrels" / "test.tsv").write_text("".join(f"q{i}\td{i}\t1\n" for i in range(30)))
    found = look(tiny_model, tmp_path)
    assert (found.schema, found.total, found.items) == ("retrieval", 30, {"query": 30, "document": 90})
    assert found.false_negatives[0].item.place["kind"] == "query"
    assert found.false_negatives[0].negative.place["id"].startswith("d")


def test_vectors_replace_a_model(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    path = write(tmp_path, [{"text": a, "label": a.split()[1]} for a, _ in PAIRS])
    texts = Dataset.from_dict({"text": [a for a, _ in PAIRS]})
    by_model = look(tiny_model, path, rows=40, dims=[16])
    for name in ("vectors.npy", "vectors.parquet"):
        encode_file(tiny_model, texts, tmp_path / name)
        found = look(tmp_path / name, path, rows=40, dims=[16])
        assert found.measures == pytest.approx(by_model.measures, abs=1e-4, nan_ok=True)
        assert found.sizes[0].measures["tolerance"] == pytest.approx(by_model.sizes[0].measures["tolerance"], abs=1e-4)
        assert found.layers == []
    matrix = encode(tiny_model, [a for a, _ in PAIRS])
    assert look(matrix, path, rows=40).measures["uniformity"] == pytest.approx(
        by_model.measures["uniformity"], abs=1e-4
    )


def test_against_another_model_on_the_same_items(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    changed = SentenceTransformer(modules=[*tiny_model], device="cpu")
    path = write(tmp_path, pair_rows())
    same = look(tiny_model, path, against=changed)
    assert all((each.mean, each.low, each.high) == (0, 0, 0) for each in same.differences.values())
    # With 4 dimensions every pair becomes more similar.
    small = SentenceTransformer(modules=[*tiny_model], device="cpu", truncate_dim=4)
    found = look(tiny_model, path, against=small)
    assert found.against is not None
    assert set(found.differences) == {
        "alignment", "positive_cosine", "negative_cosine", "separation", "false_negative_share"
    }  # fmt: skip
    for name, each in found.differences.items():
        before, after = found.measures[name], found.against.measures[name]
        assert before is not None
        assert after is not None
        assert each.mean == pytest.approx(after - before, abs=1e-5), name
        assert each.low <= each.mean <= each.high
    assert found.differences["separation"].high < 0.2
    assert found.against.dims == 4
    assert found.as_dict()["against"]["dims"] == 4


def test_scores_have_a_paired_interval(tiny_model: SentenceTransformer) -> None:
    rows = Dataset.from_dict(
        {
            "sentence1": [a for a, _ in PAIRS],
            "sentence2": [b for _, b in PAIRS],
            "score": [float(i % 6) for i in range(90)],
        }
    )
    found = look(tiny_model, rows, against=SentenceTransformer(modules=[*tiny_model], device="cpu", truncate_dim=4))
    assert found.measures["spearman"] is not None
    assert found.differences["spearman"].low < found.differences["spearman"].high
    assert {"positive pairs", "low scores", "random pairs"} == set(found.similarities)


@pytest.mark.parametrize("labelled", [True, False])
def test_images_with_texts_have_a_gap(labelled: bool, tiny_model_folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    from nearfar.models.towers import two_towers

    model = two_towers(tiny_model_folder, image="small-cnn", image_size=32, device="cpu")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        rows.append({"image": f"{i}.png", "text": PAIRS[i][0], **({"label": "ab"[i % 2]} if labelled else {})})
    found = look(model, write(tmp_path, rows), layers=None)
    assert found.gap is not None
    assert found.gap["pairs"] == 12
    assert found.items == {"image": 12, "text": 12}
    assert {point.side for point in found.points} == {"image", "text"}
    assert (found.measures["tolerance"] is None) == (not labelled)
    assert found.layers == []
    assert found.notes
    assert found.false_negatives[0].item.text.endswith(".png")
    with pytest.raises(InputError) as error:
        look(load(tiny_model_folder, device="cpu"), write(tmp_path, rows))
    assert error.value.field == "image"


def test_audio_with_texts(tiny_model_folder: Path, tmp_path: Path) -> None:
    import soundfile

    from nearfar.models.towers import two_towers

    model = two_towers(tiny_model_folder, audio="small-audio", seconds=1, device="cpu")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(8):
        soundfile.write(tmp_path / f"{i}.wav", rng.normal(0, 0.1, 4000).astype(np.float32), 16_000)
        rows.append({"audio": f"{i}.wav", "text": PAIRS[i][0]})
    found = look(model, write(tmp_path, rows))
    assert found.gap is not None
    assert found.items == {"audio": 8, "text": 8}
    assert found.measures["alignment"] == pytest.approx(found.gap["alignment"], abs=1e-6)


def test_progress_ends_at_its_total(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = write(tmp_path, pair_rows())
    look(tiny_model, path, layers=[1], against=tiny_model, progress=lambda *step: steps.append(step))
    # 180 texts for each of two models, whole and cut.
    assert {total for _, total in steps} == {720}
    assert steps[-1] == (720, 720)


def test_skipped_files_are_reported(tiny_model_folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    from nearfar.models.towers import two_towers

    model = two_towers(tiny_model_folder, image="small-cnn", image_size=32, device="cpu")
    for i in range(4):
        Image.new("RGB", (20, 20), (60 * i, 0, 0)).save(tmp_path / f"{i}.png")
    rows = [{"image": f"{i}.png", "text": PAIRS[i][0]} for i in (0, 9, 1, 2, 3)]
    found = look(model, write(tmp_path, rows), skip_broken=True)
    assert found.looked_at == 4
    assert len(found.notes) == 2  # skipped rows, few items
    assert "row" in found.hubs[0].item.place


def test_bad_options(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    path = write(tmp_path, pair_rows())
    for field, value in {"rows": 2, "near_duplicate": 1.5, "map": "umap", "dims": [33], "batch_size": 0}.items():
        with pytest.raises(InputError) as error:
            look(tiny_model, path, **{field: value})
        assert error.value.field == field
    dialogues = write(tmp_path, [{"dialogue_id": "1", "turns": [{"speaker": "a", "text": "b"}]}] * 3)
    with pytest.raises(InputError) as error:
        look(tiny_model, dialogues)
    assert str(error.value.file) == str(dialogues)
