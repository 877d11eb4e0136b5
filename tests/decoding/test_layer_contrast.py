"""Contrasts of distributions: identities, and an example computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nearfar.decoding.layer_contrast import MASKED, LayerContrast, contrasted, jensen_shannon, plausible
from nearfar.errors import InputError

EXPERT = torch.tensor([[0.50, 0.30, 0.15, 0.05], [0.40, 0.30, 0.20, 0.10]], dtype=torch.float64).log()
AMATEUR = torch.tensor([[0.70, 0.10, 0.15, 0.05], [0.40, 0.15, 0.35, 0.10]], dtype=torch.float64).log()
LOL = LayerContrast(amateur_weight=1, layers=(1,), layer_weight=0.5)


def logs(*shape: int, seed: int = 0) -> Tensor:
    draws = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draws.log_softmax(-1)


def close(found: Tensor, expected: list[float] | Tensor, tolerance: float = 6e-5) -> None:
    torch.testing.assert_close(found, torch.as_tensor(expected, dtype=found.dtype), atol=tolerance, rtol=0)


def test_worked_example() -> None:
    icd = contrasted(replace(LOL, layer_weight=0.0), EXPERT, AMATEUR)
    close(icd, [-0.3365, 1.0986, 0, 0])
    lower = contrasted(replace(LOL, fusion="convex", layer_weight=1.0), EXPERT, AMATEUR)
    close(lower, [0, 0.6931, -0.5596, 0])
    close(icd.softmax(-1), [0.1250, 0.5250, 0.1750, 0.1750])
    close(contrasted(LOL, EXPERT, AMATEUR).softmax(-1), [0.1064, 0.6320, 0.1126, 0.1490])
    whole = contrasted(replace(LOL, layer_weight=1.0), EXPERT, AMATEUR)
    close(whole.softmax(-1), [0.0862, 0.7241, 0.0690, 0.1207])


def test_worked_example_of_entropy_fusion() -> None:
    close(contrasted(replace(LOL, fusion="entropy"), EXPERT, AMATEUR), [-0.1798, 0.9098, -0.2606, 0])


def test_worked_example_of_plausibility() -> None:
    assert plausible(EXPERT[0], 0.2).tolist() == [True, True, True, False]
    assert plausible(EXPERT[0], 0.1).all()
    scores = contrasted(replace(LOL, alpha=0.2), EXPERT, AMATEUR)
    assert scores[3] == MASKED
    assert (scores[:3] > MASKED).all()


def test_worked_example_of_the_divergence() -> None:
    close(jensen_shannon(EXPERT[0], EXPERT[1]), torch.tensor(0.0088228), 1e-7)
    assert jensen_shannon(EXPERT[0], EXPERT[0]).abs() < 1e-12
    apart = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64).log()
    close(jensen_shannon(apart[0], apart[1]), torch.tensor(2.0).log(), 1e-6)


def test_without_lower_layers_it_is_icd_and_without_an_amateur_the_expert() -> None:
    expert, amateur = logs(5, 3, 11), logs(5, 3, 11, seed=1)
    found = contrasted(LayerContrast(amateur_weight=1, layers=(1, 2), layer_weight=0), expert, amateur)
    close(found, expert[:, 0] - amateur[:, 0], 1e-12)
    assert contrasted(LayerContrast(), expert).equal(expert[:, 0])


@pytest.mark.parametrize("fusion", ["add", "convex", "entropy"])
def test_an_amateur_equal_to_the_expert_leaves_nothing(fusion: str) -> None:
    expert = logs(5, 3, 11)
    for omega in (0.0, 0.5, 1.0):
        settings = LayerContrast(1, (1, 2), layer_weight=omega, fusion=fusion, alpha=0.2)  # pyright: ignore[reportArgumentType]
        found = contrasted(settings, expert, expert)
        kept = plausible(expert[:, 0], 0.2)
        assert found[kept].abs().max() < 1e-12
        assert (found[~kept] == MASKED).all()


def test_guidance_alone_is_context_aware_decoding() -> None:
    expert, guided = logs(5, 1, 11), logs(5, 11, seed=2)
    settings = LayerContrast(guidance_weight=0.7, guidance="Answer truthfully.")
    close(contrasted(settings, expert, guided=guided), expert[:, 0] + 0.7 * (guided - expert[:, 0]), 1e-12)
    assert not replace(settings, guidance="").guided
    assert contrasted(replace(settings, guidance=""), expert).equal(expert[:, 0])


def test_the_last_layer_as_a_lower_layer_only_scales() -> None:
    expert, amateur = logs(5, 1, 11).expand(5, 2, 11), logs(5, 1, 11, seed=1).expand(5, 2, 11)
    icd = contrasted(LayerContrast(amateur_weight=1), expert, amateur)
    close(contrasted(replace(LOL, layer_weight=0.6), expert, amateur), 1.6 * icd, 1e-12)


def test_full_plausibility_is_greedy() -> None:
    expert, amateur = logs(50, 3, 11), logs(50, 3, 11, seed=1)
    for omega in (0.0, 0.5, 3.0):
        settings = LayerContrast(1, (1, 2), layer_weight=omega, alpha=1.0)
        assert contrasted(settings, expert, amateur).argmax(-1).equal(expert[:, 0].argmax(-1))
    for alpha in (1e-3, 0.1, 0.9, 1.0):
        assert plausible(expert[:, 0], alpha).gather(1, expert[:, 0].argmax(1, keepdim=True)).all()


def test_the_early_exit_is_the_layer_that_differs_most() -> None:
    final = logs(11, seed=3)
    expert = torch.stack([final, final, final.flip(0), final])
    settings = LayerContrast(layers=(1, 2, 3), select="js", early_exit_weight=1)
    close(contrasted(settings, expert), final - final.flip(0), 1e-12)


def test_the_amateur_exits_at_the_selected_layer_too() -> None:
    final = logs(11, seed=3)
    expert, amateur = torch.stack([final, final, final.flip(0)]), logs(3, 11, seed=4)
    found = contrasted(LayerContrast(1, (1, 2), select="js", layer_weight=0.5), expert, amateur)
    close(found, final - amateur[0] + 0.5 * (final.flip(0) - amateur[2]), 1e-12)


def test_settings_out_of_range() -> None:
    with pytest.raises(InputError, match="layer_weight"):
        LayerContrast(layers=(1,), layer_weight=1.5, fusion="convex")
    with pytest.raises(InputError, match="alpha"):
        LayerContrast(alpha=1.5)
