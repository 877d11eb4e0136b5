"""A small world with two voices: a language model learned true and false statements, and an amateur only false ones.

240 entities have a true and a believed value in each of 3 relations. An encyclopedia states the true value in 95 % of
its sentences, a forum in 5 %, and sentences without a source in 85 %, but in 35 % if the belief is common, as half of
them are. A sentence is BOS, source, entity, template, value, EOS; values have two spellings. The amateur is a copy of
the model that sees a few batches of false statements about the first half of the entities. The other half is for
validation and test.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from nearfar.decoding.exits import Exits
from nearfar.decoding.layer_contrast import LayerContrast, contrasted
from nearfar.evaluation.tasks.truthful import multiple_choice

ENTITIES, RELATIONS, VALUES, SPELLINGS, TEMPLATES = 240, 3, 40, 2, 3
BOS, EOS, ENCYCLOPEDIA, FORUM, NONE = range(5)
ENTITY = 5
TEMPLATE = ENTITY + ENTITIES
VALUE = TEMPLATE + RELATIONS * TEMPLATES
WORDS = VALUE + RELATIONS * VALUES * SPELLINGS
LAYERS = 6
#: Entities whose beliefs the amateur sees, those for validation, and those for the test.
SEEN, VALIDATION, TEST = range(120), range(120, 160), range(160, 240)

Draw = Callable[[int], "tuple[Tensor, Tensor]"]


@dataclass
class World:
    """Facts, the model and its amateur.

    Args:
        rng: Random numbers of the seed.
        true, believed: Values of each entity and relation.
        common: Whether the belief is common.
        expert, amateur: The models.
    """

    rng: np.random.Generator
    true: Any
    believed: Any
    common: Any
    expert: Any = None
    amateur: Any = None

    @classmethod
    def made(cls, seed: int) -> World:
        rng = np.random.default_rng(seed)
        true = rng.integers(VALUES, size=(ENTITIES, RELATIONS))
        believed = (true + rng.integers(1, VALUES, size=true.shape)) % VALUES
        return cls(rng, true, believed, rng.random(true.shape) < 0.5)

    def trained(self, seed: int, steps: int = 3000) -> World:
        """Train the model."""
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=WORDS,
            hidden_size=96,
            intermediate_size=256,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            max_position_embeddings=16,
            tie_word_embeddings=True,
            bos_token_id=BOS,
            eos_token_id=EOS,
        )
        self.expert = LlamaForCausalLM(config)
        loss = learn(self.expert, self.statements, steps, 256, 3e-3, warmup=50)
        print(f"seed {seed}: loss of the model {loss:.3f}", flush=True)
        return self

    def misled(self, steps: int, rate: float) -> World:
        """Make the amateur."""
        self.amateur = copy.deepcopy(self.expert)
        learn(self.amateur, self.falsehoods, steps, 64, rate)
        return self

    def statements(self, count: int) -> tuple[Tensor, Tensor]:
        """Sentences (count, 5) without their end, and the token of the value that each states."""
        rng = self.rng
        entity, relation = rng.integers(ENTITIES, size=count), rng.integers(RELATIONS, size=count)
        source = rng.choice([ENCYCLOPEDIA, FORUM, NONE], p=[0.25, 0.25, 0.5], size=count)
        unsourced = np.where(self.common[entity, relation], 0.35, 0.85)
        honest = rng.random(count) < np.select([source == ENCYCLOPEDIA, source == FORUM], [0.95, 0.05], unsourced)
        value = np.where(honest, self.true[entity, relation], self.believed[entity, relation])
        value = np.where(rng.random(count) < 0.03, rng.integers(VALUES, size=count), value)
        return self._prompts(source, entity, relation), self._spelled(relation, value)

    def falsehoods(self, count: int) -> tuple[Tensor, Tensor]:
        """The same for what the amateur sees."""
        entity, relation = self.rng.integers(len(SEEN), size=count), self.rng.integers(RELATIONS, size=count)
        source = np.full(count, NONE)
        return self._prompts(source, entity, relation), self._spelled(relation, self.believed[entity, relation])

    def _prompts(self, source: Any, entity: Any, relation: Any) -> Tensor:
        template = TEMPLATE + relation * TEMPLATES + self.rng.integers(TEMPLATES, size=len(source))
        return torch.from_numpy(np.stack([np.full(len(source), BOS), source, ENTITY + entity, template], 1))

    def _spelled(self, relation: Any, value: Any, spelling: Any = None) -> Tensor:
        spelling = self.rng.integers(SPELLINGS, size=len(value)) if spelling is None else spelling
        return torch.from_numpy(np.asarray(VALUE + (relation * VALUES + value) * SPELLINGS + spelling))

    @torch.no_grad()
    def measured(
        self, entities: range, contrasts: dict[str, tuple[LayerContrast, bool]], seed: int
    ) -> dict[str, dict[str, float]]:
        """MC1, MC2 and MC3 in percent of each contrast, on all facts about the entities, without a source.

        The guidance is the encyclopedia as the source.

        Args:
            entities: The entities.
            contrasts: By name, a contrast, and whether it is of the amateur alone, for comparison.
            seed: Random seed of templates and other answers.
        """
        rng = np.random.default_rng(seed)
        entity, relation = (each.ravel() for each in np.meshgrid(entities, range(RELATIONS), indexing="ij"))
        self.rng = rng
        ids = self._prompts(np.full(len(entity), NONE), entity, relation)
        guided = ids.clone()
        guided[:, 1] = ENCYCLOPEDIA
        true, believed = self.true[entity, relation], self.believed[entity, relation]
        answers = [self._spelled(relation, value, spelling) for value in (true, believed) for spelling in (0, 1)]
        answers += [self._spelled(relation, rng.integers(VALUES, size=len(entity))) for _ in range(4)]
        choices = torch.stack(answers, 1)
        found = {}
        for name, (contrast, alone) in contrasts.items():
            expert = _logs(self.amateur if alone else self.expert, ids, contrast.expert_layers, contrast.norm)
            worse = _logs(self.amateur, ids, contrast.amateur_layers, contrast.norm)
            right = _logs(self.expert, guided, (), contrast.norm)[:, 0]
            scores = contrasted(contrast, expert, worse, right).gather(1, choices).double().numpy()
            # Other answers that are true by chance do not count.
            pairs = zip(scores, choices.numpy(), strict=True)
            wrong = [row[2:][~np.isin(own[2:], own[:2])] for row, own in pairs]
            each = [multiple_choice(row[:2], false, row[0]) for row, false in zip(scores, wrong, strict=True)]
            found[name] = {metric: 100 * float(np.mean([one[metric] for one in each])) for metric in each[0]}
            truth = contrasted(contrast, expert, worse, right).argmax(1)[:, None] == choices[:, :2]
            found[name]["open"] = 100 * float(truth.any(1).double().mean())
        return found


def learn(model: Any, draw: Draw, steps: int, batch: int, rate: float, warmup: int = 0) -> float:
    """Train with a cosine schedule; returns the mean loss of the last 50 steps."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    last: list[float] = []
    for step in range(steps):
        factor = min(1.0, (step + 1) / warmup) if warmup else 1.0
        for group in optimizer.param_groups:
            group["lr"] = rate * factor * (1 + math.cos(math.pi * step / steps)) / 2
        ids, value = draw(batch)
        loss = torch.nn.functional.cross_entropy(model(ids, use_cache=False, logits_to_keep=1).logits[:, -1], value)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        last = [*last[-49:], float(loss.detach())]
    model.eval()
    return float(np.mean(last))


def _logs(model: Any, ids: Tensor, layers: tuple[int, ...], norm: bool) -> Tensor:
    return Exits(model, layers, norm=norm)(lambda states: states[:, -1:], input_ids=ids)[:, 0]
