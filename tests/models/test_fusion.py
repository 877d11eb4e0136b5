"""Delta-guided fusion: the formula, and folders in and out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.fusion import fuse, shares
from nearfar.models.weight_files import Aligned

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a model's folder with these tensors."""

    def made(name: str, **tensors: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"name": name}))
        state = {key.replace("__", "."): torch.as_tensor(value) for key, value in tensors.items()}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return made


def fused(base: Path, checkpoints: list[Path], **options: Any) -> dict[str, Tensor]:
    out = base.parent / f"fused-{len(list(base.parent.iterdir()))}"
    return load_file(fuse(base, checkpoints, out, **options).folder / "model.safetensors")


@pytest.fixture
def three(make: Make) -> tuple[Path, list[Path]]:
    first, second = make("first", w=[1.0, 0.0, 2.0]), make("second", w=[3.0, 1.0, 2.0])
    return make("base", w=[0.0, 0.0, 0.0]), [first, second]


@pytest.mark.parametrize(
    ("granularity", "beta", "expected"),
    [
        ("tensor", 0, (2, 0.5, 2)),
        ("element", 0, (2, 0.5, 2)),
        ("element", 1, (2.5, 1, 2)),
        ("element", -1, (1.5, 0, 2)),
        ("tensor", 1, (2.2519, 0.6259, 2)),
        ("layer", 1, (2.2519, 0.6259, 2)),
        ("model", 1, (2.2519, 0.6259, 2)),
        ("tensor", -1, (1.7481, 0.3741, 2)),
    ],
)
def test_worked_numbers(three: tuple[Path, list[Path]], granularity: Any, beta: float, expected: tuple[float, ...]):
    base, checkpoints = three
    found = fused(base, checkpoints, granularity=granularity, beta=beta)["w"]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32), atol=5e-5, rtol=0)


def test_what_it_says(three: tuple[Path, list[Path]], tmp_path: Path):
    base, checkpoints = three
    ticks: list[tuple[int, int]] = []
    done = fuse(base, checkpoints, tmp_path / "out", progress=lambda *tick: ticks.append(tick))
    assert done.weights == pytest.approx((0.3741, 0.6259), abs=5e-5)
    assert done.distances == pytest.approx((5**0.5, 14**0.5))
    assert done.checkpoints == tuple(map(str, checkpoints))
    assert ticks == [(1, 2), (2, 2)]


@pytest.mark.parametrize("granularity", ["model", "layer", "tensor", "element"])
@pytest.mark.parametrize("beta", [-2, 0, 1])
def test_agreement_stays_to_the_last_bit(make: Make, granularity: Any, beta: float):
    base, trained = make("base", w=torch.randn(50)), torch.randn(50)
    same = [make("one", w=trained), make("other", w=trained)]
    assert torch.equal(fused(base, same, granularity=granularity, beta=beta)["w"], trained)
    assert torch.equal(
        fused(base, [base, base], granularity=granularity, beta=beta)["w"], load_file(base / "model.safetensors")["w"]
    )


def test_shares():
    norms = torch.tensor([[0, 0, 1e300, 1e-300], [0, 2, 3e300, 3e-300]], dtype=torch.float64)
    half, quarter = [0.5, 0.5], [0.25, 0.75]
    torch.testing.assert_close(shares(norms, 1).T, torch.tensor([half, [0, 1], quarter, quarter], dtype=torch.float64))
    turned = [0.75, 0.25]
    torch.testing.assert_close(shares(norms, -1).T, torch.tensor([half, [1, 0], turned, turned], dtype=torch.float64))
    assert (shares(norms, 0) == 0.5).all()
    assert torch.allclose(shares(norms, 2)[:, 2], torch.tensor([0.1, 0.9], dtype=torch.float64))


def test_units(make: Make):
    names = ("embeddings__a", "encoder__layer__0__a", "encoder__layer__0__b", "encoder__layer__1__a")
    base = make("base", **{name: [0.0] for name in names})
    # Layer 0: 3 and 4 make 5, against 10 and 0.
    first = make("first", **dict(zip(names, ([1.0], [3.0], [4.0], [1.0]), strict=True)))
    second = make("second", **dict(zip(names, ([1.0], [10.0], [0.0], [3.0]), strict=True)))
    layer = fused(base, [first, second], granularity="layer")
    expected = {
        "embeddings.a": 1.0,
        "encoder.layer.0.a": (3 * 5 + 10 * 10) / 15,
        "encoder.layer.0.b": 4 * 5 / 15,
        "encoder.layer.1.a": (1 + 9) / 4,
    }
    assert {key: float(value) for key, value in layer.items()} == pytest.approx(expected)
    a, b = (1 + 9 + 16 + 1) ** 0.5, (1 + 100 + 9) ** 0.5
    model = fused(base, [first, second], granularity="model")
    assert float(model["encoder.layer.0.a"]) == pytest.approx((3 * a + 10 * b) / (a + b))
    tensor = fused(base, [first, second])
    assert float(tensor["encoder.layer.0.b"]) == pytest.approx(4)


def test_a_real_model_loads_and_all_else_is_the_first_checkpoint_s(tiny_model_folder: Path, tmp_path: Path):
    checkpoints = []
    for seed in (1, 2, 3):
        model = load(tiny_model_folder, device="cpu")
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.02 * seed * torch.randn_like(parameter)
        model.max_seq_length = 20 + seed
        folder = tmp_path / f"run-{seed}" / "model"
        model.save_pretrained(str(folder))
        (folder.parent / "run.yaml").write_text("recipe: some\n")
        checkpoints.append(folder.parent)  # a run stands for its model
    # What a trainer leaves in a checkpoint is no part of the model.
    for name in ("optimizer.pt", "trainer_state.json", "complete", ".hidden"):
        (checkpoints[0] / "model" / name).touch()
    save_file({"log_temperature": torch.zeros(1)}, checkpoints[0] / "model" / "loss.safetensors")
    out = tmp_path / "deep" / "fused"
    done = fuse(tiny_model_folder, checkpoints, out, beta=0)
    assert done.weights == pytest.approx([1 / 3] * 3)
    assert done.distances == tuple(sorted(done.distances))
    there = {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()}
    model = {file.relative_to(tiny_model_folder).as_posix() for file in tiny_model_folder.rglob("*") if file.is_file()}
    assert there == {*model, "SHA256SUMS"}
    found = SentenceTransformer(str(out), device="cpu")
    assert found.max_seq_length == 21
    models = [load(each / "model", device="cpu") for each in checkpoints]
    for name, weight in found.state_dict().items():
        mean = torch.stack([each.state_dict()[name] for each in models]).mean(0)
        torch.testing.assert_close(weight, mean, atol=1e-6, rtol=0)
    with safe_open(out / "model.safetensors", framework="pt") as opened:
        assert opened.metadata() == {"format": "pt"}
    assert [file.name for file in out.parent.iterdir()] == ["fused"]


def test_types_are_those_of_the_first_checkpoint(make: Make):
    base = make("base", w=torch.zeros(3), ids=torch.arange(2), empty=torch.zeros(0))
    first = make("first", w=torch.ones(3, dtype=torch.bfloat16), ids=torch.arange(2), empty=torch.zeros(0))
    second = make("second", w=torch.full((3,), 3.0), ids=torch.arange(2), empty=torch.zeros(0))
    found = fused(base, [first, second], beta=0)
    assert torch.equal(found["w"], torch.full((3,), 2.0, dtype=torch.bfloat16))
    assert torch.equal(found["ids"], torch.arange(2))
    assert len(found["empty"]) == 0


def test_what_the_base_alone_holds_is_left_out(make: Make):
    base = make("base", w=[0.0], position_ids=torch.arange(3))
    found = fused(base, [make("first", w=[1.0]), make("second", w=[3.0])], beta=0)
    assert {name: float(value) for name, value in found.items()} == {"w": 2.0}


@pytest.mark.parametrize("at", [0, 1, 2])
def test_tables_of_whole_numbers_may_be_there_or_not(make: Make, at: int):
    more = [{"position_ids": torch.arange(3)} if place == at else {} for place in range(3)]
    base, first, second = (make(f"m{k}", w=[float(2 * k)], **more[k]) for k in range(3))
    found = fused(base, [first, second], beta=0)
    assert found.keys() == {"w", *more[1]}
    assert float(found["w"]) == 3.0
    assert found.get("position_ids", torch.arange(3)).tolist() == [0, 1, 2]


def test_blocks_change_nothing(make: Make, monkeypatch: pytest.MonkeyPatch):
    base, first, second = (make(name, w=torch.randn(5, 7), v=torch.randn(3)) for name in ("base", "first", "second"))
    for granularity in ("tensor", "element"):
        whole = fused(base, [first, second], granularity=granularity)
        with monkeypatch.context() as patched:
            patched.setattr("nearfar.models.fusion.BLOCK", 4)
            parts = fused(base, [first, second], granularity=granularity)
        assert whole["w"].shape == (5, 7)
        for name, value in whole.items():
            torch.testing.assert_close(parts[name], value, atol=1e-6, rtol=0)


def test_one_tensor_at_a_time(make: Make, monkeypatch: pytest.MonkeyPatch):
    names = [f"w{i}" for i in range(5)]
    folders = [make(f"m{k}", **{name: torch.full((7,), float(k)) for name in names}) for k in range(3)]
    read: list[str] = []
    original = Aligned.read

    def noted(self: Aligned, file: str, tensor: str) -> list[Tensor]:
        read.append(tensor)
        return original(self, file, tensor)

    monkeypatch.setattr(Aligned, "read", noted)
    fused(folders[0], folders[1:])
    assert sorted(read) == sorted(2 * names)
    read.clear()
    fused(folders[0], folders[1:], granularity="element")
    assert sorted(read) == names


def test_models_that_do_not_fit(make: Make, tmp_path: Path):
    base, good = make("base", w=[1.0], v=[1.0]), make("good", w=[1.0], v=[2.0])

    def fails(message: str, *checkpoints: Any, start: Any = base, out: Path = tmp_path / "out", **options: Any) -> None:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(InputError, match=message) as raised:
            fuse(start, checkpoints, out, **options)
        assert "\n" not in str(raised.value)
        assert sorted(tmp_path.rglob("*")) == before

    fails("expected at least 2 checkpoints, got 1", good)
    fails(r"less/model.*tensor 'v' of .*good.* is missing", good, make("less", w=[1.0]))
    fails(r"more/model.*tensor 'u' is not in .*good", good, make("more", w=[1.0], v=[1.0], u=[1.0]))
    fails(
        r"wide/model.*expected shape \(1,\) for 'w', as in .*good.*, got \(2,\)",
        good,
        make("wide", w=[1.0, 2.0], v=[1.0]),
    )
    fails(r"other/model.*tensor 'v' of .*good.* is missing", good, good, start=make("other", w=[1.0], u=[1.0]))
    split = make("split", w=[1.0], v=[1.0])
    (split / "model.safetensors").rename(split / "weights.safetensors")
    fails(r"split: the file of weights 'model.safetensors' of .*good is missing", good, split)
    fails("'w' contain NaN or infinity", good, make("nan", w=[float("nan")], v=[1.0]))
    fails("the model folder .* does not exist", good, tmp_path / "nowhere")
    fails("already exists", good, good, out=good)
    fails("granularity: unknown granularity 'row'", good, good, granularity="row")
    fails("beta: invalid value nan", good, good, beta=float("nan"))
    damaged = make("damaged", w=[1.0], v=[1.0])
    (damaged / "model.safetensors").write_bytes(b"no weights")
    fails("damaged", good, damaged)
