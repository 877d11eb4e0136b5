"""Contrastive search: is its text as diverse as human text, and more coherent than that of nucleus sampling?

    NEARFAR_DATA=FOLDER python benchmarks/claims/contrastive_search.py [--seeds 5]

Only nucleus sampling is random. Here, each seed has its own set of prompts.
"""

from __future__ import annotations

import gzip
import json
import random
from functools import cache, partial
from typing import Any

import numpy as np
from _claim import Also, Claim, run
from _data import located

from nearfar.decoding import coherence, diversity, isotropy, methods
from nearfar.decoding.texts import Writer
from nearfar.kinds.causal import CausalLM

PROMPTS, PROMPT, NEW = 16, 32, 64
#: Decoding method and settings of each arm: those of the authors for English text.
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "contrastive search, k 5, a 0.6": ("contrastive-search", {"top_k": 5, "penalty_alpha": 0.6}),
    "nucleus, p 0.95": ("nucleus", {"top_p": 0.95}),
    "greedy": ("greedy", {}),
    "beam, 4": ("beam", {"num_beams": 4}),
}
PEOPLE = "the articles themselves"


@cache
def source() -> CausalLM:
    return CausalLM.load("smollm2", device="cpu")


def loaded() -> tuple[Any, Any]:
    return source().language_model()


@cache
def articles() -> list[tuple[str, str]]:
    """The beginnings of articles and their continuations, in random order."""
    _, tokenizer = loaded()
    found = []
    with gzip.open(located("wiki_lm", "wiki-lm-valid.jsonl.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            tokens = tokenizer(json.loads(line)["text"], verbose=False)["input_ids"][: PROMPT + NEW]
            if len(tokens) == PROMPT + NEW:
                found.append((tokenizer.decode(tokens[:PROMPT]), tokenizer.decode(tokens[PROMPT:])))
    random.Random(0).shuffle(found)
    return found


def prompts(seed: int) -> list[tuple[str, str]]:
    found = articles()[PROMPTS * seed : PROMPTS * (seed + 1)]
    assert len(found) == PROMPTS, "too few articles for so many seeds"
    return found


@cache
def written(arm: str, seed: int) -> list[str]:
    """The continuations of a seed's prompts."""
    if arm == PEOPLE:
        return [text for _, text in prompts(seed)]
    name, settings = ARMS[arm]
    method = methods.get(name)
    writer = Writer(source(), method, method.options(**settings), max_new_tokens=NEW, seed=seed, batch_size=PROMPTS)
    found: dict[int, str] = {}
    for numbers, continuations in writer.batches([text for text, _ in prompts(seed)]):
        found.update((n, each.text) for n, each in zip(numbers, continuations, strict=True))
    print(f"{sum(len(text.split()) for text in found.values()) / PROMPTS:.1f} words per text: {arm}", flush=True)
    return [found[number] for number in range(PROMPTS)]


def coherent(seed: int, arm: str) -> float:
    model, tokenizer = loaded()
    return float(np.nanmean(coherence(model, tokenizer, [text for text, _ in prompts(seed)], written(arm, seed))))


def diverse(seed: int, arm: str) -> float:
    return diversity(written(arm, seed))


def main() -> None:
    ours, nucleus, greedy, _ = ARMS
    layers = isotropy(*loaded(), [prompt + text for prompt, text in articles()[-16:]])
    print(
        f"isotropy of the last layer {layers[-1].isotropy:.3f}, without the first token {layers[-1].without_first:.3f}"
    )
    run(
        Claim(
            recipe="contrastive_search",
            claim="Contrastive search generates text that is more coherent than that of nucleus sampling and about as "
            "diverse as human text, while greedy decoding and beam search repeat themselves; no training is needed.",
            data=f"Wikipedia (wiki_lm, validation split): the first {PROMPT} tokens of {PROMPTS} articles per seed; "
            "each seed has its own articles, and is the seed of nucleus sampling",
            backbone="SmolLM2-135M-Instruct (4-bit weights, computed in float32), as a plain language model",
            budget=f"at most {NEW} new tokens; the authors' settings for English, without tuning",
            metric="coherence (nats per token)",
            ours=ours,
            baseline=nucleus,
            arms={arm: partial(coherent, arm=arm) for arm in (*ARMS, PEOPLE)},
            caveat="Coherence is the log-probability under the same small model, because no other model was available. "
            "This metric prefers text that the model finds likely, especially repetition, so greedy decoding and beam "
            "search have the highest scores. The authors score with OPT-2.7B, continue web texts by 200 tokens with "
            "GPT-2 large, and report -1.52 against -2.88 of nucleus sampling, at a diversity of 92.5 against 93.6. "
            "Diversity is 100 times the product of the fractions of unique 2-, 3- and 4-grams in a text; it is higher "
            "for short texts.",
            also=(
                Also(
                    metric="diversity (percent)",
                    ours=ours,
                    baseline=greedy,
                    arms={arm: partial(diverse, arm=arm) for arm in (*ARMS, PEOPLE)},
                ),
            ),
        )
    )


if __name__ == "__main__":
    main()
