"""The sequence-to-sequence language model: reads a source text, writes a target text (T5, BART and similar)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nearfar.kinds._by_rows import ByRows
from nearfar.kinds._conditional import Conditional
from nearfar.models.abilities import Generates, Predicts
from nearfar.models.lengths import check_length

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float, Int
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nearfar.kinds.options import TrainingOptions
    from nearfar.models.chat import Prompt

__all__ = ["Seq2SeqLM"]


class Seq2SeqLM(ByRows, Predicts, Generates, Conditional):
    """A sequence-to-sequence model with its tokenizer. It has the abilities `Predicts`, `Generates` and `Conditions`.

    The columns `anchor` (source) and `positive` (target) of a stage's rows reach the loss as `input_ids`,
    `attention_mask` and `labels`, padded, with -100 where nothing is predicted; all other columns stay as they are.

    Args:
        model: A transformers model; trained in place.
        tokenizer: The tokenizer, saved with the model.
        max_length: Maximum length of source and target in tokens; longer texts are truncated. 0: the tokenizer's limit.
    """

    name: ClassVar[str] = "seq2seq LM"
    words: ClassVar[str] = "a sequence-to-sequence language model"
    pipeline: ClassVar[str | None] = "text-generation"
    usage: ClassVar[str] = (
        "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer\n\n"
        "model = AutoModelForSeq2SeqLM.from_pretrained(MODEL)\ntokenizer = AutoTokenizer.from_pretrained(MODEL)"
    )
    predicts: ClassVar[tuple[str, ...]] = ("anchor", "positive")

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int = 0) -> None:
        self.model, self.tokenizer, self.max_length = model, tokenizer, max_length

    @classmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> Seq2SeqLM:
        """See `nearfar.models.seq2seq.load_seq2seq_model`."""
        from nearfar.models.seq2seq import load_seq2seq_model

        return cls(*load_seq2seq_model(name, device))

    @property
    def host(self) -> Seq2SeqLM:
        """This object itself: model and tokenizer belong together."""
        return self

    @property
    def module(self) -> PreTrainedModel:
        """The model."""
        return self.model

    def collate(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch of rows: see the class."""
        from nearfar.kinds._language_trainer import as_batch
        from nearfar.models.answers import IGNORED

        if not {"anchor", "positive"} <= set(rows[0]):
            return as_batch(rows)
        batch = as_batch([{key: row[key] for key in row if key not in ("anchor", "positive")} for row in rows])
        source = self._tokens([row["anchor"] for row in rows])
        labels = self._tokens([row["positive"] for row in rows], target=True)
        masked = labels["input_ids"].masked_fill(labels["attention_mask"] == 0, IGNORED)
        return {**batch, "input_ids": source["input_ids"], "attention_mask": source["attention_mask"], "labels": masked}

    def _tokens(self, texts: list[str], *, target: bool = False) -> Any:
        cut: dict[str, Any] = {"max_length": self.max_length} if self.max_length else {}
        given: dict[str, Any] = {"text_target": texts} if target else {"text": texts}
        return self.tokenizer(**given, padding=True, truncation=True, return_tensors="pt", **cut)

    def log_probability(
        self, rows: Dataset, *, batch_size: int = 8, progress: Callable[[int, int], None] | None = None
    ) -> Float[np.ndarray, " rows"]:
        """The mean log-probability per token of each row's target, given its source, in nats.

        Args:
            rows: Columns `anchor` and `positive`.
            batch_size: Rows in one forward pass.
            progress: Called with (rows done, number of rows).
        """
        import numpy as np
        import torch
        from torch.nn import functional as F

        model, items = self.model.eval(), []
        with torch.no_grad():
            for start in range(0, len(rows), batch_size):
                part = rows.select(range(start, min(start + batch_size, len(rows))))
                batch = {
                    name: value.to(model.device)
                    for name, value in self.collate(part.select_columns(["anchor", "positive"]).to_list()).items()
                }
                logits = model(**batch, use_cache=False).logits.float()
                losses = F.cross_entropy(logits.transpose(1, 2), batch["labels"], reduction="none")
                items += (-losses.double().sum(1) / (batch["labels"] >= 0).sum(1)).tolist()
                if progress is not None:
                    progress(len(items), len(rows))
        return np.asarray(items)

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int = 64, batch_size: int = 8) -> list[str]:
        """The target text of each source text, decoded greedily."""
        import torch

        texts: list[str] = []
        for start in range(0, len(prompts), batch_size):
            batch = self._tokens(list(prompts[start : start + batch_size])).to(self.model.device)
            with torch.no_grad():
                found = self.model.eval().generate(  # pyright: ignore[reportCallIssue]
                    input_ids=batch["input_ids"],
                    attention_mask=batch["attention_mask"],
                    do_sample=False,
                    max_new_tokens=max_new_tokens,
                )
            texts += self.tokenizer.batch_decode(found, skip_special_tokens=True)
        return texts

    @property
    def reader(self) -> Any:
        """The encoder."""
        return self.model.get_encoder()

    def target_tokens(self, texts: Sequence[str]) -> list[Int[Tensor, " t"]]:
        """See `Conditions`."""
        return self._rows(texts, target=True)

    def source_tokens(self, texts: Sequence[str]) -> list[Int[Tensor, " t"]]:
        """See `Conditional`."""
        return self._rows(texts)

    def target_losses(
        self, model: Any, sources: Sequence[str], targets: Sequence[Int[Tensor, " t"]], owners: Sequence[int]
    ) -> Float[Tensor, " m"]:
        """See `Conditions`."""
        from nearfar.models.answers import IGNORED
        from nearfar.models.conditional import mean_losses, padded

        rows = self.source_tokens(sources)
        tokens, mask = padded([rows[owner] for owner in owners], self.padding, self.model.device)
        labels, _ = padded(targets, IGNORED, self.model.device)
        logits = model(input_ids=tokens, attention_mask=mask.long(), labels=labels, use_cache=False).logits
        return mean_losses(logits, labels)

    def prompt(self, source: str) -> Prompt:
        """See `Conditions`: the source itself."""
        from nearfar.models.chat import Prompt

        return Prompt(source)

    def positions(self, source: int, new: int) -> int:
        """See `Conditions`: encoder and decoder count apart; the decoder's start token has a position too."""
        return max(source, new)

    def generation_inputs(self, sources: Sequence[Int[Tensor, " t"]]) -> tuple[dict[str, Tensor], int]:
        """See `Conditions`: the result begins with the start token of the decoder."""
        from nearfar.models.conditional import padded

        tokens, mask = padded(sources, self.padding, self.model.device)
        return {"input_ids": tokens, "attention_mask": mask.long()}, 1

    def _rows(self, texts: Sequence[str], *, target: bool = False) -> list[Int[Tensor, " t"]]:
        import torch

        cut: dict[str, Any] = {"max_length": self.max_length} if self.max_length else {}
        given: dict[str, Any] = {"text_target" if target else "text": list(texts)}
        found = self.tokenizer(**given, truncation=True, **cut)["input_ids"] if texts else []
        return [torch.tensor(row, dtype=torch.long) for row in found]

    def fingerprint(self, name: object) -> str:
        """A hash of all tensors."""
        from nearfar.models.fingerprint import weights_fingerprint

        return weights_fingerprint(self.model)

    def write(self, folder: Path) -> None:
        """In the format that `AutoModelForSeq2SeqLM` and `AutoTokenizer` load."""
        self.model.save_pretrained(str(folder))
        self.tokenizer.save_pretrained(str(folder))

    def configure(self, options: TrainingOptions) -> None:
        """Truncate in measuring as in training."""
        if options.max_length:
            limit = getattr(self.model.config, "max_position_embeddings", None)
            check_length(options.max_length, self.tokenizer, [limit])
        self.max_length = options.max_length
