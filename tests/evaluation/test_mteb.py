from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nearfar.errors import InputError
from nearfar.evaluation import run_mteb


@pytest.fixture
def mteb(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in with the three names of mteb 2 that are used: get_task, evaluate, TaskResult.get_score."""
    module: Any = ModuleType("mteb")
    module.calls = []

    def get_task(name: str) -> str:
        if name not in ("STSBenchmark", "SciFact"):
            raise KeyError(f"KeyError: '{name}' not found")
        return name

    def evaluate(model: Any, tasks: Any, **options: Any) -> Any:
        module.calls.append((model, list(tasks), options))
        results = [SimpleNamespace(task_name=task, get_score=lambda task=task: len(task) / 100) for task in tasks]
        return SimpleNamespace(task_results=results)

    module.get_task, module.evaluate = get_task, evaluate
    monkeypatch.setitem(sys.modules, "mteb", module)
    return module


def test_main_scores_by_task_name(mteb: Any, tiny_model):
    assert run_mteb(tiny_model, ["STSBenchmark", "SciFact"], batch_size=8) == {"STSBenchmark": 0.12, "SciFact": 0.07}
    ((model, tasks, options),) = mteb.calls
    assert model is tiny_model
    assert tasks == ["STSBenchmark", "SciFact"]
    assert options["cache"] is None
    assert options["encode_kwargs"] == {"batch_size": 8}


def test_unknown_task(mteb: Any, tiny_model):
    with pytest.raises(InputError, match=r"^mteb: .*'STSB'"):
        run_mteb(tiny_model, ["SciFact", "STSB"])
    with pytest.raises(InputError, match=r"^mteb: .*got none"):
        run_mteb(tiny_model, "SciFact")
    assert mteb.calls == []


def test_missing_or_old(mteb: Any, tiny_model, monkeypatch: pytest.MonkeyPatch):
    del mteb.evaluate
    with pytest.raises(InputError, match="too old"):
        run_mteb(tiny_model, ["SciFact"])
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(InputError, match=r'pip install "nearfar\[mteb\]"'):
        run_mteb(tiny_model, ["SciFact"])
