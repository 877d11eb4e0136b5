"""Domain experts: is an encoder with one expert per domain better than a dense encoder for all domains?

NEARFAR_DATA=FOLDER python benchmarks/claims/moe_embed.py [--seeds 5]
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from _claim import Claim, run
from _data import table
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sklearn.metrics import roc_auc_score

import nearfar
from nearfar.recipes import moe_embed
from nearfar.training.stages import train_plan

STEPS, TEXTS, MAX_LENGTH, PAIRS = 100, 32, 32, 300
CISI_STEPS, CISI_LENGTH = 20, 32

#: Five of CLINC150's ten domains, with all fifteen intents of each.
DOMAINS = {
    "banking": "freeze_account routing pin_change bill_due pay_bill account_blocked interest_rate min_payment "
    "bill_balance transfer order_checks balance spending_history transactions report_fraud",
    "travel": "plug_type travel_notification translate flight_status international_visa timezone exchange_rate "
    "travel_suggestion travel_alert vaccines lost_luggage book_flight book_hotel carry_on car_rental",
    "kitchen": "food_last confirm_reservation how_busy ingredients_list calories nutrition_info recipe "
    "restaurant_reviews restaurant_reservation meal_suggestion restaurant_suggestion cancel_reservation "
    "ingredient_substitution cook_time accept_reservations",
    "auto": "traffic directions gas gas_type distance current_location mpg oil_change_when oil_change_how uber "
    "schedule_maintenance last_maintenance jump_start tire_pressure tire_change",
    "work": "pto_request_status next_holiday insurance_change insurance meeting_schedule payday taxes income "
    "rollover_401k pto_balance pto_request w2 schedule_meeting direct_deposit pto_used",
}
DOMAIN_OF = {intent: domain for domain, intents in DOMAINS.items() for intent in intents.split()}


@cache
def rows(split: str) -> Dataset:
    """Texts of the five domains, with their intent and domain."""
    found = [row for row in table("clinc150", f"clinc150-{split}.tsv.gz") if row["intent"] in DOMAIN_OF]
    return Dataset.from_dict(
        {
            "text": [row["text"] for row in found],
            "label": [row["intent"] for row in found],
            "domain": [DOMAIN_OF[row["intent"]] for row in found],
        }
    )


@cache
def test_pairs(domain: str) -> list[tuple[str, str, int]]:
    """300 pairs with one intent and 300 with two intents of the same domain, the same for every seed and arm."""
    rng = np.random.default_rng(0)
    texts: dict[str, list[str]] = {intent: [] for intent in DOMAINS[domain].split()}
    for row in rows("test"):
        if row["domain"] == domain:
            texts[row["label"]].append(row["text"])
    intents, pairs = list(texts), []
    for together in [1] * PAIRS + [0] * PAIRS:
        first, other = (intents[i] for i in rng.choice(len(intents), 2, replace=False))
        a, b = rng.choice(len(texts[first]), 2, replace=False)
        pairs.append((texts[first][a], texts[first if together else other][b], together))
    return pairs


def separation(model: SentenceTransformer, domain: str, task: str | None) -> float:
    """The area under the ROC curve of the cosines of a domain's test pairs."""
    first, second, together = zip(*test_pairs(domain), strict=True)
    return area(model, first, second, together, task)


def area(
    model: SentenceTransformer,
    first: Sequence[str],
    second: Sequence[str],
    together: Sequence[int],
    task: str | None = None,
) -> float:
    """The area under the ROC curve of the cosines of pairs."""
    texts = sorted({*first, *second})
    vectors = dict(zip(texts, model.encode(texts, task=task, normalize_embeddings=True), strict=True))
    return float(roc_auc_score(together, [vectors[a] @ vectors[b] for a, b in zip(first, second, strict=True)]))


@cache
def trained(
    seed: int,
    layers: Literal["all", "none"] = "all",
    domains: tuple[str, ...] = tuple(DOMAINS),
    steps: int = STEPS,
) -> Mapping[str, Mapping[str, float]]:
    """Train on the given domains, and evaluate on every domain, with and without passing the domain."""
    options = moe_embed.Options(
        max_steps=steps,
        batch_size=TEXTS,
        learning_rate=5e-5,
        warmup_ratio=0.15,
        max_length=MAX_LENGTH,
        layers=layers,
        save_steps=steps + 1,
    )
    model = nearfar.load("minilm", max_length=MAX_LENGTH)
    plan = moe_embed.prepare(model, rows("train").filter(lambda row: row["domain"] in domains), options)
    with tempfile.TemporaryDirectory() as folder:
        train_plan(plan, options, folder, seed)
    found = {
        "own": {d: separation(model, d, d if d in domains else None) for d in DOMAINS},
        "unsaid": {d: separation(model, d, None) for d in DOMAINS} if layers == "all" else {},
    }
    print(f"  seed {seed} layers {layers} {'+'.join(domains)} {steps} steps: {found}", flush=True)
    return found


def mean(seed: int, layers: Literal["all", "none"] = "all", said: str = "own") -> float:
    """One model for all domains, mean over the domains."""
    return float(np.mean(list(trained(seed, layers)[said].values())))


def specialists(seed: int, steps: int, at_home: bool = True) -> float:
    """One dense encoder per domain, each evaluated on its own domain, or on the other domains."""
    found = {d: trained(seed, "none", (d,), steps)["own"] for d in DOMAINS}
    return float(np.mean([found[mine][d] for mine in DOMAINS for d in DOMAINS if (mine == d) == at_home]))


def base_model(seed: int) -> float:
    model = nearfar.load("minilm", max_length=MAX_LENGTH)
    return float(np.mean([separation(model, domain, None) for domain in DOMAINS]))


def cited_together(seed: int, steps: int) -> float:
    """Train on abstracts that are cited together, and evaluate on held-out abstracts, a new third for each seed."""
    path = Path(os.environ.get("NEARFAR_DATA", "../shared/data"), "cisi", "corpus.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = {row["_id"]: f"{row['title']}. {row['text']}" for row in map(json.loads, lines)}
    rng = np.random.default_rng(seed)
    held_out = set(rng.permutation(sorted(texts))[: len(texts) // 3].tolist())
    pairs = [(row["doc_id1"], row["doc_id2"]) for row in table("cisi", "cocitation.tsv.gz")]
    pairs = [(a, b) for a, b in pairs if a != b and a in texts and b in texts]
    model = nearfar.load("minilm", max_length=CISI_LENGTH)
    if steps:
        train = [pairs[i] for i in rng.permutation(len(pairs)) if not held_out & set(pairs[i])]
        train = [(a, b) if rng.random() < 0.5 else (b, a) for a, b in train[: 2 * steps * TEXTS]]
        columns = {"anchor": [texts[a] for a, _ in train], "positive": [texts[b] for _, b in train]}
        data = Dataset.from_dict({**columns, "domain": ["information science"] * len(train)})
        options = moe_embed.Options(
            max_steps=steps, learning_rate=5e-5, warmup_ratio=0.15, max_length=CISI_LENGTH, save_steps=steps + 1
        )
        with tempfile.TemporaryDirectory() as folder:
            train_plan(moe_embed.prepare(model, data, options), options, folder, seed)
    known, rng = {frozenset(pair) for pair in pairs}, np.random.default_rng(seed)
    near = [pair for pair in pairs if held_out >= set(pair)]
    near = [near[i] for i in rng.permutation(len(near))[:PAIRS]]
    drawn = (tuple(rng.choice(sorted(held_out), 2, replace=False).tolist()) for _ in range(3 * PAIRS))
    far = [pair for pair in drawn if frozenset(pair) not in known][:PAIRS]
    first, second = ([texts[pair[i]] for pair in near + far] for i in (0, 1))
    return area(model, first, second, [1] * len(near) + [0] * len(far))


if __name__ == "__main__":
    run(
        Claim(
            recipe="moe_embed",
            claim="An encoder with five experts, selected by domain, separates similar texts of each domain better "
            "than a dense encoder for all five domains.",
            data="CLINC150, train and test splits of five domains with 15 intents each. Near: the same intent; far: "
            f"two intents of the same domain. {PAIRS} test pairs of either kind per domain, the same for every seed",
            backbone="all-MiniLM-L6-v2",
            budget=f"{STEPS} steps of {TEXTS} texts (16 intents, two texts each), learning rate 5e-5, tau 0.05, domain "
            "tokens in every arm; a specialist has a fifth of the steps, so it sees as many texts of its domain",
            metric="area under the ROC curve, mean of five domains",
            ours="five experts",
            baseline="dense, all domains",
            arms={
                "five experts": mean,
                "dense, all domains": lambda seed: mean(seed, "none"),
                "five specialists, each on its own domain": lambda seed: specialists(seed, STEPS // 5),
                "five specialists, each on the other domains": lambda seed: specialists(seed, STEPS // 5, False),
                "five experts, domain not given": lambda seed: mean(seed, said="unsaid"),
                "base model": base_model,
                "other data: CISI abstracts, trained on co-citations": lambda seed: cited_together(seed, CISI_STEPS),
                "other data: CISI abstracts, base model": lambda seed: cited_together(seed, 0),
            },
            caveat="CLINC150 replaces the paper's co-citation data, which was not available: texts with the same "
            "intent replace papers that are cited together. Whether co-citations are a useful signal was tested on "
            f"CISI, one domain ({CISI_STEPS} steps of 16 pairs, {CISI_LENGTH} tokens; a third of the abstracts held "
            "out, a different one for each seed). Five experts have 2.2 times the parameters of the dense encoder, but "
            "each text uses the same number of parameters.",
        )
    )
