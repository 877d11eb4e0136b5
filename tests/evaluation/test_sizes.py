"""An encoder at several depths and widths: each cell is what the cut model gives by itself."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from datasets import Dataset

import nearfar
from deep_models import saved
from nearfar.cli.app import run
from nearfar.errors import InputError
from nearfar.evaluation import evaluate
from nearfar.evaluation.sizes import evaluate_sizes

NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "money", "song")
PAIRS = [{"anchor": f"the {a} sits", "positive": f"a {a} in the {NOUNS[i - 1]}"} for i, a in enumerate(NOUNS)]
ROWS = {
    "sts": [
        {"sentence1": f"the {a}", "sentence2": f"{NOUNS[i * i % 7]} and {a}", "score": i * 7 % 5}
        for i, a in enumerate(NOUNS)
    ],
    "retrieval": PAIRS,
    "classify": [{"text": f"the {a} on a {b}", "label": a} for a in NOUNS[:3] for b in NOUNS],
}


@pytest.fixture(scope="module")
def folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("bert", tiny_model_folder, tmp_path_factory.mktemp("deep"), normalize=True)


@pytest.fixture
def model(folder: Path):
    return nearfar.load(folder, device="cpu")


@pytest.mark.parametrize("task", list(ROWS))
def test_a_cell_is_what_the_cut_model_gives(model, task) -> None:
    rows = Dataset.from_list(ROWS[task])
    sizes = evaluate_sizes(model, rows, [4, 1, 2], [16, 8], seed=1)
    assert (sizes.layers, sizes.dims) == ((1, 2, 4), (8, 16))
    for n, line in zip(sizes.layers, sizes.scores, strict=True):
        for d, score in zip(sizes.dims, line, strict=True):
            alone = evaluate(nearfar.models.elastic.truncated(model, n, d), rows, seed=1)
            assert alone.task == task
            assert score == pytest.approx(alone.score, abs=1e-6)
    assert len({round(score, 6) for line in sizes.scores for score in line}) > 1, "all sizes alike: this shows nothing"
    whole = evaluate_sizes(model, rows, seed=1)
    assert whole.layers == (None,)
    assert whole.scores == [[pytest.approx(evaluate(model, rows, seed=1).score, abs=1e-6)]]


def test_each_text_is_encoded_once_a_depth_by_its_own_layers_alone(model) -> None:
    ran = []
    for number, block in enumerate(model[0].model.encoder.layer, start=1):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    evaluate_sizes(model, Dataset.from_list(ROWS["sts"]), [1, 3], [4, 8, 16, 32])
    assert ran == [1] * 2 + [1, 2, 3] * 2, "two lists of texts"
    assert "encode" not in vars(model)
    assert model.truncate_dim is None


def test_sizes_that_the_model_does_not_have(model) -> None:
    with pytest.raises(InputError, match=r"^layers: .* 5: .* 4;"):
        evaluate_sizes(model, Dataset.from_list(ROWS["sts"]), [2, 5])
    with pytest.raises(InputError, match=r"^dims: .* 64: .* 32;"):
        evaluate_sizes(model, Dataset.from_list(ROWS["sts"]), dims=[8, 64])


@pytest.fixture
def workspace(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, rows in ROWS.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "deep").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_command_prints_a_table_and_writes_a_page(workspace, capsys, model) -> None:
    command = "evaluate deep --data sts.jsonl --layers 2,4 --dims 8,32 --report pages/sizes.html"
    assert run(shlex.split(command)) == 0
    shown = capsys.readouterr().out
    assert run([*shlex.split(command), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["layers"], found["dims"], found["primary"]) == ([2, 4], [8, 32], "spearman")
    expected = evaluate_sizes(model, Dataset.from_list(ROWS["sts"]), [2, 4], [8, 32]).scores
    assert found["scores"] == [pytest.approx(line) for line in expected]
    for words in ("2 layers", "4 layers", "8 dims", "32 dims", *(f"{x:.4f}" for line in expected for x in line)):
        assert words in shown
    page = (workspace / "pages" / "sizes.html").read_text()
    assert found["report"] == "pages/sizes.html"
    for words in ("Heatmap: Spearman", "4 layers", "against depth", 'id="sizes"'):
        assert words in page


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--data sts.jsonl --layers 2,x", "--layers: '2,x' is no list of numbers; write e.g. 2,4,6"),
        ("--data sts.jsonl --dims 0", "--dims: '0' is no list of numbers"),
        ("--data sts.jsonl --layers 9", "layers: invalid value 9: the model has 4; use 1 to 4"),
        ("--data sts.jsonl --report x.html", "--report: shows sizes, and none is asked for; give --layers or --dims"),
        ("--data sts.jsonl --layers 2 --report .", "--report: this is a folder"),
        ("--mteb STSBenchmark --layers 2", "--layers: requires rows"),
    ],
)
def test_mistakes_are_one_line(workspace, capsys, command, message) -> None:
    assert run(["evaluate", "deep", *shlex.split(command)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert not (workspace / "x.html").exists()
