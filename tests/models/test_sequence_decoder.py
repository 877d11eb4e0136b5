"""The decoder of sequences: targets, loss, search, saving."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from nearfar.errors import InputError
from nearfar.models.sequence_decoder import FOLDER, IGNORED, SequenceDecoder, frames_of

TEXTS = ["on\n\tturn it on", "off\n\tturn it off", "on\n\tlight"]


@pytest.fixture
def decoder() -> SequenceDecoder:
    torch.manual_seed(0)
    return SequenceDecoder.new(TEXTS, width=8, vocabulary=300, layers=1).eval()


def frames(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 5, 8, generator=torch.Generator().manual_seed(1))


def test_targets_end_and_are_padded(decoder: SequenceDecoder) -> None:
    found = decoder.targets([TEXTS[0], "on"])
    end = decoder.tokenizer.eos_token_id
    assert len(found[0]) == len(found[1])
    assert found[0][-1] == end
    assert decoder.tokenizer.decode(found[0][:-1]) == TEXTS[0]
    short = [token for token in found[1] if token != IGNORED]
    assert (short[-1], decoder.tokenizer.decode(short[:-1])) == (end, "on")
    long = decoder.targets(["light " * 200])[0]
    assert (len(long), long[-1]) == (decoder.config.positions, end)
    # Characters that were in no text are written too.
    odd = decoder.targets(["naïve 茶"])[0]
    assert decoder.tokenizer.decode(odd[:-1]) == "naïve 茶"


def test_the_loss_is_the_mean_over_tokens_without_padding(decoder: SequenceDecoder) -> None:
    targets = torch.tensor(decoder.targets([TEXTS[0], "on"]))
    end = decoder.tokenizer.eos_token_id
    losses: list[torch.Tensor] = []
    for row, item in zip(targets, frames(2), strict=True):
        ids = row[row != IGNORED]
        inputs = torch.cat([torch.tensor([end]), ids[:-1]])
        logits = decoder(item[None], inputs[None])[0].log_softmax(1)
        losses += list(-logits[torch.arange(len(ids)), ids])
    torch.testing.assert_close(decoder.loss(frames(2), targets), torch.stack(losses).mean())


def test_a_token_depends_on_those_before_it_and_on_the_frames(decoder: SequenceDecoder) -> None:
    one, other = torch.tensor([[0, 5, 6]]), torch.tensor([[0, 5, 7]])
    a, b = decoder(frames(1), one), decoder(frames(1), other)
    torch.testing.assert_close(a[:, :2], b[:, :2])
    assert not torch.allclose(a[:, 2], b[:, 2])
    assert not torch.allclose(a, decoder(-frames(1), one))


def test_frames_of_padding_are_ignored(decoder: SequenceDecoder) -> None:
    real = torch.tensor([[True, True, True, False, False], [True] * 5])
    targets = torch.tensor(decoder.targets([TEXTS[0], TEXTS[0]]))
    other = frames(2)
    other[0, 3:] += 10
    torch.testing.assert_close(decoder.loss(frames(2), targets, real), decoder.loss(other, targets, real))
    assert not torch.allclose(decoder.loss(frames(2), targets), decoder.loss(other, targets))
    for beams in (1, 3):
        assert decoder.decode(frames(2), beams, real) == decoder.decode(other, beams, real)
    cut = decoder.loss(frames(2)[:1, :3], targets[:1])
    torch.testing.assert_close(decoder.loss(frames(2)[:1], targets[:1], real[:1]), cut)


def test_masks_that_do_not_fit_the_frames_say_nothing() -> None:
    states = frames(2)
    assert frames_of({"token_embeddings": states})[1] is None
    assert frames_of({"token_embeddings": states, "attention_mask": torch.ones(2, 10)})[1] is None
    found = frames_of({"token_embeddings": states, "attention_mask": torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])})
    assert found[0] is states
    assert found[1] is not None
    assert found[1].sum(1).tolist() == [3, 5]


class Chain(SequenceDecoder):
    """Probabilities of the next token by the one before, however the frames are: 0 is the end, 1 to 3 are letters."""

    def forward(self, frames: torch.Tensor, inputs: torch.Tensor, real: Any = None) -> torch.Tensor:
        return self.table[inputs]


def chain(seed: int) -> Chain:
    found = Chain.new(["abc"], width=8, vocabulary=300, layers=1)
    ids = [found.tokenizer.eos_token_id, *(found.tokenizer(letter)["input_ids"][0] for letter in "abc")]
    size = found.config.vocabulary
    found.table = torch.full((size, size), -1e4)
    law = torch.randn(4, 4, generator=torch.Generator().manual_seed(seed)).log_softmax(1)
    for row, column in itertools.product(range(4), range(4)):
        found.table[ids[row], ids[column]] = law[row, column]
    found.law = law
    object.__setattr__(found.config, "positions", 6)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_beam_search_finds_the_best_text(seed: int) -> None:
    model = chain(seed)

    def score(letters: tuple[int, ...]) -> float:
        path = [0, *letters, 0]
        total = sum(float(model.law[one, other]) for one, other in itertools.pairwise(path))
        return total / ((5 + len(letters) + 1) / 6) ** 0.6

    texts = [letters for count in range(5) for letters in itertools.product((1, 2, 3), repeat=count)]
    best = "".join("_abc"[letter] for letter in max(texts, key=score))
    assert model.decode(frames(1), beams=500) == [best]


def test_greedy_takes_the_most_likely_token() -> None:
    model = chain(3)
    letters, place = "", 0
    while len(letters) < 5 and (place := int(model.law[place].argmax())):
        letters += "_abc"[place]
    assert model.decode(frames(2)) == [letters, letters]


def test_decoding_keeps_the_mode(decoder: SequenceDecoder) -> None:
    assert decoder.decode(frames(2)) == decoder.train().decode(frames(2))
    assert decoder.training


def test_saved_and_loaded(decoder: SequenceDecoder, tmp_path: Path) -> None:
    assert SequenceDecoder.load(tmp_path) is None
    decoder.save(tmp_path)
    found = SequenceDecoder.load(tmp_path)
    assert found is not None
    assert not found.training
    assert found.targets(TEXTS) == decoder.targets(TEXTS)
    assert found.decode(frames(), beams=3) == decoder.decode(frames(), beams=3)
    (tmp_path / FOLDER / "model.safetensors").write_bytes(b"no")
    with pytest.raises(InputError) as caught:
        SequenceDecoder.load(tmp_path)
    assert caught.value.file == tmp_path / FOLDER


def test_sizes_that_do_not_match_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        SequenceDecoder.new(TEXTS, width=6, vocabulary=300, layers=1)
    assert caught.value.field == "audio_model"
    with pytest.raises(InputError) as caught:
        SequenceDecoder.new(TEXTS, width=8, vocabulary=100, layers=1)
    assert caught.value.field == "vocabulary"
