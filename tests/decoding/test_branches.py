"""The passes with caches, against whole sequences without any cache, on random models of several families."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import tiny_decoders
import torch
import transformers as T
from tiny_decoders import GPT, PROMPTS
from torch import Tensor

from nearfar.decoding.amateur import Amateur
from nearfar.decoding.branches import Branches
from nearfar.decoding.contrastive_decoding import contrastive_decoding
from nearfar.decoding.layer_contrast import LayerContrast, contrasted
from nearfar.errors import InputError
from nearfar.models.chat import Prompt

SIZES = {**tiny_decoders.SIZES, "num_hidden_layers": 4}
FAMILIES: dict[str, Callable[[], Any]] = {
    "llama": lambda: T.LlamaForCausalLM(T.LlamaConfig(**SIZES)),
    "gpt2": lambda: T.GPT2LMHeadModel(T.GPT2Config(**GPT, n_embd=32, n_layer=4, n_head=4, pad_token_id=0)),
    "mistral, window 6": lambda: T.MistralForCausalLM(T.MistralConfig(**SIZES, sliding_window=6)),
    "gpt-neox": lambda: T.GPTNeoXForCausalLM(
        T.GPTNeoXConfig(**{k: v for k, v in SIZES.items() if k != "num_key_value_heads"})
    ),
    "gemma2, capped logits": lambda: T.Gemma2ForCausalLM(T.Gemma2Config(**SIZES, head_dim=8, sliding_window=6)),
}
GUIDANCE = "be right"
LOL = LayerContrast(1.0, (2, 3), layer_weight=0.5, guidance_weight=0.5, guidance=GUIDANCE, alpha=0.01)
CONTRASTS = {
    "greedy": LayerContrast(),
    "icd": LayerContrast(1.0, alpha=0.1),
    "lol": LOL,
    "lol, entropy, js": LayerContrast(0.7, (1, 2, 3), select="js", fusion="entropy", alpha=0.01),
    "dola": LayerContrast(layers=(1, 2, 3), select="js", early_exit_weight=1, alpha=0.1),
    "dola, raw": LayerContrast(layers=(1, 2), select="js", early_exit_weight=1, alpha=0.1, norm=False),
    "cad": LayerContrast(guidance_weight=0.5, guidance=GUIDANCE),
}


class Letters:
    """A tokenizer with one token per character."""

    bos_token_id = eos_token_id = None
    chat_template = None

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) % 97 for letter in text]}


TOKENIZER = Letters()
INSTRUCTION = TOKENIZER(GUIDANCE + "\n\n")["input_ids"]


@cache
def model(family: str = "llama", seed: int = 0) -> Any:
    torch.manual_seed(seed)
    made = FAMILIES[family]().eval()
    made.generation_config = T.GenerationConfig(pad_token_id=0)
    return made


def norm_of(lm: Any) -> Any:
    decoder = lm.get_decoder()
    return next(each for name in ("norm", "ln_f", "final_layer_norm") if (each := getattr(decoder, name, None)))


@torch.no_grad()
def logs(lm: Any, tokens: list[int], settings: LayerContrast, layers: tuple[int, ...]) -> Tensor:
    """Log-probabilities after each token, of the last layer and of lower layers, without a cache."""
    now = lm(input_ids=torch.tensor([tokens]), output_hidden_states=True, use_cache=False)
    norm = norm_of(lm) if settings.norm else torch.nn.Identity()
    lower = [lm.get_output_embeddings()(norm(now.hidden_states[layer])) for layer in layers]
    cap = getattr(lm.config, "final_logit_softcapping", None)
    lower = [(each / cap).tanh() * cap for each in lower] if cap else lower
    return torch.stack([now.logits, *lower], 2)[0].float().log_softmax(-1)


def by_hand(settings: LayerContrast, expert: Any, amateur: Any, tokens: list[int]) -> Tensor:
    """The scores after each token."""
    worse = logs(amateur, tokens, settings, settings.amateur_layers) if settings.amateur_weight else None
    guided = None
    if settings.guided:
        guided = logs(expert, INSTRUCTION + tokens, settings, ())[len(INSTRUCTION) :, 0]
    return contrasted(settings, logs(expert, tokens, settings, settings.expert_layers), worse, guided)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", CONTRASTS)
def test_cached_generation_equals_recomputation(family: str, name: str) -> None:
    settings, expert, amateur = CONTRASTS[name], model(family), model(family, 1)
    branches = Branches(expert, TOKENIZER, [settings], Amateur(amateur))
    width = max(map(len, PROMPTS))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in PROMPTS])
    real = torch.tensor([[False] * (width - len(row)) + [True] * len(row) for row in PROMPTS])
    tokens, rng = [list(row) for row in PROMPTS], random.Random(0)
    scores = branches.start(ids, real)[0]
    for _ in range(8):
        for found, row in zip(scores, tokens, strict=True):
            torch.testing.assert_close(found, by_hand(settings, expert, amateur, row)[-1], atol=2e-4, rtol=1e-4)
        # Given tokens, so that rounding cannot lead to another continuation.
        step = [rng.randrange(1, 97) for _ in tokens]
        for row, token in zip(tokens, step, strict=True):
            row.append(token)
        scores = branches.step(torch.tensor(step)[:, None])[0]


def test_generation_chooses_the_highest_score() -> None:
    expert, amateur = model(), model(seed=1)
    branches = Branches(expert, TOKENIZER, [LOL], Amateur(amateur))
    found = expert.generate(
        input_ids=torch.tensor([PROMPTS[0]]),
        custom_generate=contrastive_decoding,
        branches=branches,
        max_new_tokens=6,
        do_sample=False,
    )[0].tolist()
    assert found[: len(PROMPTS[0])] == PROMPTS[0]
    for end in range(len(PROMPTS[0]), len(found)):
        scores = by_hand(LOL, expert, amateur, found[:end])[-1]
        assert scores[found[end]] >= scores.max() - 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_equal_recomputation(family: str) -> None:
    expert, amateur = model(family), model(family, 1)
    icd, lol = CONTRASTS["icd"], LOL
    branches = Branches(expert, TOKENIZER, [icd, lol], Amateur(amateur))
    answers = [[5, 6, 7], [8], [9, 10], [11, 12, 13, 14], [5]]
    # The second prompt begins as the first, and the third is the beginning of the second.
    for text in ("What is it?", "What is that?", "What is"):
        prompt = Prompt(text)
        tokens = prompt.tokens(TOKENIZER)
        found = branches.answers(prompt, answers, batch_size=3)
        assert found.shape == (2, sum(map(len, answers)), 97)
        for number, settings in enumerate((icd, lol)):
            expected = [by_hand(settings, expert, amateur, tokens + answer)[len(tokens) - 1 : -1] for answer in answers]
            torch.testing.assert_close(found[number], torch.cat(expected), atol=2e-4, rtol=1e-4)


def test_an_amateur_equal_to_the_model_is_refused() -> None:
    branches = Branches(model(), TOKENIZER, [CONTRASTS["icd"]], Amateur(model()))
    with pytest.raises(InputError, match="amateur"):
        branches.start(torch.tensor(PROMPTS[:1]), torch.ones(1, len(PROMPTS[0])).bool())
    with pytest.raises(InputError, match="amateur"):
        branches.answers(Prompt("What?"), [[1, 2]])


def test_the_model_with_an_instruction_is_an_amateur() -> None:
    expert = model()
    branches = Branches(expert, TOKENIZER, [LayerContrast(1.0)], Amateur(expert, GUIDANCE))
    found = branches.start(torch.tensor(PROMPTS[:1]), torch.ones(1, len(PROMPTS[0])).bool())[0]
    plain = logs(expert, PROMPTS[0], LOL, ())[-1, 0]
    false = logs(expert, INSTRUCTION + PROMPTS[0], LOL, ())[-1, 0]
    torch.testing.assert_close(found[0], plain - false, atol=2e-4, rtol=1e-4)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(InputError, match="--amateur"):
        Branches(model(), TOKENIZER, [CONTRASTS["icd"]])
    for layer in (0, 5):
        with pytest.raises(InputError, match="layers"):
            Branches(model(), TOKENIZER, [LayerContrast(layers=(layer,), early_exit_weight=1)])


def test_a_model_without_a_final_norm_is_refused_only_for_lower_layers() -> None:
    config = T.OPTConfig(
        vocab_size=97,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=64,
        do_layer_norm_before=False,
        word_embed_proj_dim=16,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    opt = T.OPTForCausalLM(config).eval()
    with pytest.raises(InputError, match="norm"):
        Branches(opt, TOKENIZER, [LayerContrast(layers=(1,), early_exit_weight=1)])
    branches = Branches(opt, TOKENIZER, [LayerContrast()])
    assert branches.start(torch.tensor(PROMPTS[:1]), torch.ones(1, len(PROMPTS[0])).bool())[0].shape == (1, 97)
