from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset
from PIL import Image
from sentence_transformers import SentenceTransformer

from nearfar.cli.app import run
from nearfar.errors import InputError
from nearfar.evaluation import detect_task, evaluate
from nearfar.evaluation.compared import paired_interval
from nearfar.evaluation.tasks import zero_shot
from nearfar.evaluation.tasks.zero_shot import check_templates, label_vectors, measure_zero_shot
from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.models.towers import two_towers

TEXTS = ["the cat sits", "a cat", "red fish", "a fish in the sea", "blue bird", "fish"]
LABELS = ["cat", "cat", "fish", "fish", "blueBird", "cat"]


def rows(**columns) -> Dataset:
    return Dataset.from_dict({"text": TEXTS, "label": LABELS, **columns})


def test_accuracy_is_that_of_the_closest_mean_prompt(tiny_model: SentenceTransformer) -> None:
    found = evaluate(tiny_model, rows(), "zero-shot", templates=["the {}", "a {} in the sea"])
    names = ["cat", "fish", "blueBird"]
    prompts = [
        encode(tiny_model, [f"the {words}", f"a {words} in the sea"]).mean(0) for words in ("cat", "fish", "blue bird")
    ]
    prompts = [prompt / np.linalg.norm(prompt) for prompt in prompts]
    told = [names[int(np.argmax([text @ prompt for prompt in prompts]))] for text in encode(tiny_model, TEXTS)]
    right = [float(a == b) for a, b in zip(told, LABELS, strict=True)]
    assert found.per_item is not None
    assert found.per_item["accuracy"].tolist() == right
    assert found.score == pytest.approx(np.mean(right))
    assert found.metrics["chance"] == 0.5
    assert found.interval is not None
    assert found.interval.low <= found.score <= found.interval.high
    assert found.as_dict()["interval_95"] == [found.interval.low, found.interval.high]
    change = paired_interval(found, found)
    assert change is not None
    assert change.mean == 0


def test_labels_of_the_hub_have_names(tiny_model: SentenceTransformer) -> None:
    names = ClassLabel(names=["cat", "fish", "blueBird"])
    numbered = rows().cast_column("label", names)
    assert evaluate(tiny_model, numbered, "zero-shot").metrics == evaluate(tiny_model, rows(), "zero-shot").metrics


def test_braces_in_a_label_are_no_slot(tiny_model: SentenceTransformer) -> None:
    vectors = label_vectors(tiny_model, ["a {0} cat", "fish {}"], ["the {}"])
    np.testing.assert_allclose(vectors, encode(tiny_model, ["the a {0} cat", "the fish {}"]), atol=1e-6)


def test_columns_decide_the_task() -> None:
    assert detect_task(Dataset.from_dict({"image": ["a"], "label": ["b"]})) == "zero-shot"
    assert detect_task(Dataset.from_dict({"audio": ["a"], "text": ["b"], "label": ["b"]})) == "zero-shot"
    assert detect_task(rows()) == "classify"
    with pytest.raises(InputError, match=r"columns label .*text, label"):
        detect_task(Dataset.from_dict({"label": ["a"]}))


def test_mistakes_are_named(tiny_model: SentenceTransformer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^templates: 'a photo' .*\{\}"):
        evaluate(tiny_model, rows(), "zero-shot", templates=["a photo"])
    with pytest.raises(InputError, match=r"^templates: .*got none"):
        evaluate(tiny_model, rows(), "zero-shot", templates=[])
    with pytest.raises(InputError, match="templates: "):
        evaluate(tiny_model, rows(), "classify", templates=["{}"])
    with pytest.raises(InputError, match=r"^label: .*got 1\b"):
        evaluate(tiny_model, Dataset.from_dict({"text": ["a", "b"], "label": ["c", "c"]}), "zero-shot")
    with pytest.raises(InputError, match="both become 'blue bird'"):
        evaluate(tiny_model, Dataset.from_dict({"text": ["a", "b"], "label": ["blueBird", "blue_bird"]}), "zero-shot")
    with pytest.raises(InputError, match=r"'zero-shot' .*'text'"):
        evaluate(tiny_model, Dataset.from_dict({"label": ["a", "b"]}), "zero-shot")
    with pytest.raises(InputError, match=r"^model: .*image.*'zero-shot'"):
        evaluate(tiny_model, Dataset.from_dict({"image": ["a.png"] * 2, "label": ["a", "b"]}))
    (tmp_path / "t.txt").write_text("a {}\n\nthe {}\n")
    assert check_templates([str(tmp_path / "t.txt"), "{}"]) == ("a {}", "the {}", "{}")
    (tmp_path / "t.txt").write_text("a {}\nthe\n")
    with pytest.raises(InputError, match=r"t\.txt:2: templates: 'the'"):
        check_templates([str(tmp_path / "t.txt")])


def test_pictures_from_the_command_line(
    tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_towers(tiny_model_folder, image="small-cnn", image_size=16, device="cpu").save_pretrained(str(tmp_path / "m"))
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (5, 5), (number, 9, 9)).save(tmp_path / "images" / name / f"{number}.png")
    (tmp_path / "images" / "dog" / "broken.png").write_text("not an image")
    arguments = ["evaluate", str(tmp_path / "m"), "--data", str(tmp_path / "images"), "--task", "zero-shot"]
    assert run(arguments) == 2
    assert "broken.png" in capsys.readouterr().err
    assert run([*arguments, "--skip-broken", "--templates", "the {}"]) == 0
    shown = capsys.readouterr()
    assert "95% interval over items" in shown.out
    assert "zero-shot on 6 items" in shown.out
    assert "skipped 1 of 7 images" in shown.err


def test_a_text_that_is_the_name_of_a_picture_stays_a_text(tiny_model_folder: Path, tmp_path: Path) -> None:
    model = two_towers(tiny_model_folder, image="small-cnn", image_size=16, device="cpu")
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png")
    traps = [str(tmp_path / "a.png"), "https://localhost/a.jpg", "data:image/png;base64,AA", "a cat"]
    alone = encode(load(tiny_model_folder), traps)
    np.testing.assert_allclose(encode(model, traps), alone, atol=1e-6)
    np.testing.assert_allclose(encode(model, traps[:1], kind="query"), alone[:1], atol=1e-6)


def told(labels: list[str], ranked: list[list[int]], monkeypatch: pytest.MonkeyPatch):
    """The result where a row ranks the labels, in order of appearance, in this order."""
    count = len(ranked[0])
    vectors = np.zeros((len(labels), count))
    for row, order in enumerate(ranked):
        vectors[row, order] = np.arange(count, 0, -1)
    monkeypatch.setattr(zero_shot, "label_vectors", lambda *_, **__: np.eye(count))
    monkeypatch.setattr(zero_shot, "item_vectors", lambda *_, **__: vectors)
    data = Dataset.from_dict({"text": [str(i) for i in range(len(labels))], "label": labels})
    return measure_zero_shot(None, data)  # type: ignore[arg-type]


def test_worked_example(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(["a", "a", "a", "b"], [[0, 1], [0, 1], [1, 0], [1, 0]], monkeypatch)
    # Of "a" two of three are found, all of them rightly; of "b" the one, beside a wrong one.
    assert found.metrics == pytest.approx({"accuracy": 0.75, "f1": (0.8 + 2 / 3) / 2, "chance": 0.75})
    assert found.per_item is not None
    assert found.per_item["accuracy"].tolist() == [1, 1, 0, 1]


def test_of_more_than_five_labels_the_first_five_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = list("abcdef")
    # The right label of row i stands at rank i.
    ranked = [[*[j for j in range(6) if j != i][:i], i, *[j for j in range(6) if j != i][i:]] for i in range(6)]
    found = told(labels, ranked, monkeypatch)
    assert found.metrics["accuracy"] == pytest.approx(1 / 6)
    assert found.metrics["accuracy@5"] == pytest.approx(5 / 6)
    assert found.metrics["chance"] == pytest.approx(1 / 6)
    fewer = told(labels[:5], [each[:5] for each in [list(range(5))] * 5], monkeypatch)
    assert "accuracy@5" not in fewer.metrics
