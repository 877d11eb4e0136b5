from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nearfar.errors import InputError
from nearfar.kinds.causal import CausalLM
from nearfar.kinds.vision_language import VisionLanguageLM
from nearfar.losses.captioning import CaptioningLoss
from nearfar.models.towers.named import media_tower
from nearfar.models.vision_language.documents import described, question
from nearfar.models.vision_language.model import Shape, VisionLanguageModel

SHAPE = Shape(split=1, interval=1, latents=3, depth=1, heads=2, head_width=8, dims=8)


def build(folder: Path, **changes: Any) -> VisionLanguageLM:
    torch.manual_seed(0)
    language = CausalLM.load(folder, device="cpu")
    vision = media_tower("small-vit", "image", image_size=16)[0].eval()
    shape = Shape(**{**SHAPE.__dict__, **changes})
    return VisionLanguageLM(VisionLanguageModel(language.model, vision, shape).eval(), language, 32)


@pytest.fixture
def model(tiny_lm_folder: Path) -> VisionLanguageLM:
    return build(tiny_lm_folder)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for number in range(3):
        Image.new("RGB", (16, 16), (80 * number, 200 - 50 * number, 90)).save(tmp_path / f"{number}.png")
    return [str(tmp_path / f"{number}.png") for number in range(3)]


def opened(model: VisionLanguageLM) -> VisionLanguageLM:
    """With gates that are not closed, so that images are seen."""
    for block in model.model.cross.values():
        torch.nn.init.constant_(block.attention_gate, 1.0)
        torch.nn.init.constant_(block.feed_forward_gate, 1.0)
    return model


def forward(model: VisionLanguageLM, documents: list[list[dict[str, Any]]]) -> Any:
    batch = model.collate([{"parts": parts} for parts in documents])
    return model.model(**{name: batch[name] for name in ("input_ids", "attention_mask", "places", "images")})


def test_at_first_the_language_model_writes_what_it_wrote_before(model: VisionLanguageLM, files: list[str]) -> None:
    batch = model.collate([{"parts": described(file, "the cat sits")} for file in files])
    with torch.no_grad():
        found = forward(model, [described(file, "the cat sits") for file in files]).logits
        alone = model.model.language(
            inputs_embeds=model.model.embedded(batch["input_ids"]), attention_mask=batch["attention_mask"]
        ).logits
    torch.testing.assert_close(found, alone, atol=1e-6, rtol=0)


def test_the_text_vector_does_not_see_the_image(model: VisionLanguageLM, files: list[str]) -> None:
    opened(model)
    with torch.no_grad():
        first, second = (forward(model, [described(file, "the cat sits")]) for file in files[:2])
    assert torch.equal(first.texts, second.texts)
    assert not torch.allclose(first.logits, second.logits)
    assert not torch.allclose(first.images, second.images)


def test_the_text_vector_does_not_depend_on_padding_or_on_the_upper_half(
    model: VisionLanguageLM, files: list[str]
) -> None:
    opened(model)
    texts = ["the cat sits", "a dog runs on the grass under a tree"]
    with torch.no_grad():
        both = forward(model, [described(files[0], text) for text in texts]).texts
    vectors = torch.from_numpy(model.encode(texts))
    torch.testing.assert_close(vectors, both, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.from_numpy(model.encode(texts[:1])), both[:1], atol=1e-5, rtol=0)


def test_a_document_sees_its_own_images_only(model: VisionLanguageLM, files: list[str]) -> None:
    opened(model)
    one = [*described(files[0], "the cat"), *described(files[1], "a dog")]
    with torch.no_grad():
        both = forward(model, [one, described(files[2], "the sky")]).logits
        alone = forward(model, [one]).logits
        other = forward(model, [[*described(files[2], "the cat"), *described(files[1], "a dog")]]).logits
    torch.testing.assert_close(both[:1, : alone.shape[1]], alone, atol=1e-5, rtol=0)
    # Tokens of the second image see it alone; other states than those of the first image are theirs.
    assert not torch.allclose(alone[0, :4], other[0, :4])


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_contrast_reaches_the_resampler_before_the_gates_open(
    model: VisionLanguageLM, files: list[str], weight: float
) -> None:
    batch = model.collate([{"parts": described(f, f"the cat {n}"), "pair": True} for n, f in enumerate(files)])
    model.model.train()
    CaptioningLoss(weight)(model.model, batch).backward()
    got = {name for name, each in model.model.named_parameters() if each.grad is not None and each.grad.abs().sum() > 0}
    gates = {name for name, _ in model.model.named_parameters() if name.endswith("gate")}
    assert gates <= got
    assert not any(name.startswith(("language.", "vision.")) for name in got)
    assert any(name.startswith("resampler.") for name in got) == bool(weight)
    assert not any(name.startswith("cross.") and not name.endswith("gate") for name in got)


def test_what_is_frozen_is_not_changed_by_training(model: VisionLanguageLM, files: list[str]) -> None:
    before = {name: each.clone() for name, each in model.model.named_parameters() if not each.requires_grad}
    assert any(name.startswith("vision.") for name in before)
    batch = model.collate([{"parts": described(f, f"the cat {n}"), "pair": True} for n, f in enumerate(files)])
    optimizer = torch.optim.AdamW([each for each in model.model.parameters() if each.requires_grad], 1e-2)
    loss = CaptioningLoss()
    for _ in range(3):
        optimizer.zero_grad()
        loss(model.model.train(), batch).backward()
        optimizer.step()
    after = dict(model.model.named_parameters())
    assert all(torch.equal(each, after[name]) for name, each in before.items())


def test_generation_is_that_of_the_whole_forward_pass(model: VisionLanguageLM, files: list[str]) -> None:
    opened(model)
    prompts = [[{"image": files[0]}, {"text": "the cat"}], [*described(files[1], "a dog"), {"image": files[2]}]]
    together = model.describe(prompts, max_new_tokens=4)
    assert together == [model.describe([prompt], max_new_tokens=4)[0] for prompt in prompts]
    assert together != [
        model.describe([[{"image": files[2]}, *prompt[1:]]], max_new_tokens=4)[0] for prompt in prompts
    ], "other images, other texts"
    # Token by token, without a cache.
    document = question(model.tokenizer, prompts[1])
    places, images = model._images([document])
    tokens = list(document.tokens)
    for _ in range(4):
        ids = torch.tensor([tokens])
        with torch.no_grad():
            logits = model.model(ids, torch.ones_like(ids), places, images).logits[0, -1]
        tokens.append(int(logits.argmax()))
    assert model.tokenizer.decode(tokens[-4:], skip_special_tokens=True) == together[1]


def test_beams_of_one_prompt_see_its_images(model: VisionLanguageLM, files: list[str]) -> None:
    opened(model)
    prompts = [[{"image": file}, {"text": "the"}] for file in files[:2]]
    how = {"num_beams": 3, "max_new_tokens": 3, "do_sample": False, "pad_token_id": 0}

    def beams(some: list[Any]) -> list[list[int]]:
        inputs, seeing = model.generation(some)
        with torch.no_grad(), seeing:
            return model.language_model.generate(**inputs, **how).tolist()

    assert beams(prompts) == [beams([prompt])[0] for prompt in prompts]


def test_checkpoints_have_the_new_layers_alone(model: VisionLanguageLM) -> None:
    names = set(model.model.state_dict())
    assert not any(name.startswith(("language.", "vision.")) for name in names)
    assert names == {name for name, each in model.model.named_parameters() if each.requires_grad}
    model.model.load_state_dict(model.model.state_dict())
    with pytest.raises(RuntimeError, match="missing"):
        model.model.load_state_dict({})


@pytest.mark.parametrize("split", [0, 99])
def test_a_split_outside_the_model_is_refused(tiny_lm_folder: Path, split: int) -> None:
    with pytest.raises(InputError) as caught:
        build(tiny_lm_folder, split=split)
    assert caught.value.field == "split"
