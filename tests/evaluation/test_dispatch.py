from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from nearfar.data.retrieval import Retrieval
from nearfar.errors import InputError
from nearfar.evaluation import detect_task, evaluate

PAIRS = Dataset.from_dict({"anchor": ["a cat", "the sun", "a loan"], "positive": ["the cat", "sun", "the loan"]})


def test_a_retrieval_set_is_known_by_having_no_columns(tiny_model):
    found = Retrieval({"1": "the cat", "2": "the sun"}, {"1": "cat", "2": "sun"}, {"1": {"1": 2}})
    result = evaluate(tiny_model, found)
    assert (result.task, result.n) == ("retrieval", 1)


def test_a_model_may_be_named(tiny_model_folder: Path):
    assert evaluate(str(tiny_model_folder), PAIRS).metrics == evaluate(tiny_model_folder, PAIRS).metrics


def test_extra_columns_do_not_matter():
    assert detect_task(PAIRS.add_column("negative", ["x", "y", "z"])) == "retrieval"


def test_columns_that_fit_no_task(tiny_model):
    with pytest.raises(InputError, match=r"first, second .*sentence1.*anchor, positive"):
        evaluate(tiny_model, Dataset.from_dict({"first": ["a"], "second": ["b"]}))
    with pytest.raises(InputError, match=r"'sts' .*'sentence1'.* anchor, positive"):
        evaluate(tiny_model, PAIRS, task="sts")
    with pytest.raises(InputError, match=r"^task: .*'reorder'.* sts"):
        evaluate(tiny_model, PAIRS, task="reorder")
    with pytest.raises(InputError, match="got a DatasetDict"):
        evaluate(tiny_model, DatasetDict(test=PAIRS))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="train: "):
        evaluate(tiny_model, PAIRS, train=PAIRS)


def test_importing_the_packages_loads_no_heavy_library():
    code = (
        "import sys, nearfar.evaluation, nearfar.models, nearfar.search, nearfar.models.encoding\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'datasets', 'sklearn', 'scipy', 'usearch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_options_reach_the_task(tiny_model, monkeypatch: pytest.MonkeyPatch):
    from nearfar.evaluation.tasks import task

    asked = []
    original = task.Task.measure
    monkeypatch.setattr(task.Task, "measure", lambda self, *given: asked.append(given[-1]) or original(self, *given))
    result = evaluate(tiny_model, PAIRS, batch_size=2, seed=7)
    assert [(each.batch_size, each.seed, each.train, each.templates) for each in asked] == [(2, 7, None, None)]
    assert result.seconds > 0


def test_a_language_model_reads_plain_text(tiny_lm_folder: Path, tmp_path: Path):
    (tmp_path / "text.txt").write_text("the cat sits on the mat and the dog runs\n\n" * 80)
    result = evaluate(str(tiny_lm_folder), tmp_path / "text.txt")
    assert (result.task, result.primary) == ("perplexity", "log_probability")
