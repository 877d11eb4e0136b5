"""The causal language model: a transformers model and trainer, on documents packed into blocks of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nearfar.errors import InputError
from nearfar.kinds.kind import Kind, Setting
from nearfar.kinds.options import LanguageOptions, TrainingOptions
from nearfar.models.abilities import Conditions, Generates, Predicts

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Bool, Float, Int
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nearfar.kinds.plan import Stage

__all__ = ["BLOCK", "CausalLM"]

#: Tokens per block in evaluation, unless the model has fewer positions or was trained with another length.
BLOCK = 256


class CausalLM(Kind, Predicts, Generates, Conditions):
    """A causal language model with its tokenizer. It has the abilities `Predicts`, `Generates` and `Conditions`.

    If a stage's rows have only the column `text`, they are documents and are packed into blocks of `max_length` tokens;
    any other rows reach the loss unchanged, with all columns.

    Args:
        model: A transformers model; trained in place.
        tokenizer: The tokenizer, saved with the model.
        write: Writes the model into a folder, for models that `save_pretrained` cannot write.
    """

    name: ClassVar[str] = "causal LM"
    words: ClassVar[str] = "a causal language model"
    pipeline: ClassVar[str | None] = "text-generation"
    usage: ClassVar[str] = (
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        "model = AutoModelForCausalLM.from_pretrained(MODEL)\ntokenizer = AutoTokenizer.from_pretrained(MODEL)"
    )
    predicts: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        write: Callable[[PreTrainedModel, Path], None] | None = None,
    ) -> None:
        self.model, self.tokenizer, self._write = model, tokenizer, write
        limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.block = min(BLOCK, limit) if isinstance(limit, int) else BLOCK
        self._packed: tuple[tuple[str, int], Dataset] | None = None

    @classmethod
    def load(cls, name: str | Path, *, device: str | None = None) -> CausalLM:
        """See `nearfar.models.language.load_language_model`."""
        from nearfar.models.language import load_language_model

        return cls(*load_language_model(name, device))

    @property
    def host(self) -> CausalLM:
        """This object itself: model and tokenizer belong together."""
        return self

    @property
    def module(self) -> PreTrainedModel:
        """The model."""
        return self.model

    def blocks(self, documents: Dataset) -> Dataset:
        """Documents as blocks of `block` tokens, in a column `input_ids`; the latest result is cached."""
        from nearfar.data.packing import packed

        key = (documents._fingerprint, self.block)
        if self._packed is None or self._packed[0] != key:
            self._packed = key, packed(documents, self.tokenizer, self.block)
        return self._packed[1]

    def log_probability(
        self, rows: Dataset, *, batch_size: int = 8, progress: Callable[[int, int], None] | None = None
    ) -> Float[np.ndarray, " blocks"]:
        """The mean log-probability per token of each block, without its first token, in nats.

        Args:
            rows: Documents (column `text`) or blocks (column `input_ids`).
            batch_size: Blocks in one forward pass.
            progress: Called with (blocks done, number of blocks).
        """
        import numpy as np
        import torch
        from torch.nn import functional as F

        blocks = rows if "input_ids" in rows.column_names else self.blocks(rows)
        model, items = self.model.eval(), []
        with torch.no_grad():
            for batch in blocks.iter(batch_size):
                tokens = torch.as_tensor(batch["input_ids"]).to(model.device)  # type: ignore[call-overload]
                logits = model(input_ids=tokens, use_cache=False).logits[:, :-1].float()
                losses = F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
                items += (-losses.double().mean(1)).tolist()
                if progress is not None:
                    progress(len(items), len(blocks))
        return np.asarray(items)

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int = 64, batch_size: int = 8) -> list[str]:
        """The greedy continuation of each prompt; `nearfar.decoding` has other ways to choose tokens."""
        import torch

        from nearfar.models.language import end_tokens, padding_token

        texts = []
        for prompt in prompts:  # one at a time: left padding would change the positions in some models
            ids = torch.tensor([self.tokenizer(prompt)["input_ids"]], device=self.model.device)
            with torch.no_grad():
                found = self.model.eval().generate(  # pyright: ignore[reportCallIssue]
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    do_sample=False,
                    max_new_tokens=max_new_tokens,
                    pad_token_id=padding_token(self.tokenizer),
                    eos_token_id=end_tokens(self.model, self.tokenizer) or None,
                )
            texts.append(str(self.tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True)))
        return texts

    @property
    def reader(self) -> Any:
        """The model without its head."""
        return self.model.base_model

    def target_tokens(self, texts: Sequence[str]) -> list[Int[Tensor, " t"]]:
        """See `Conditions`."""
        import torch

        end = [] if self.tokenizer.eos_token_id is None else [self.tokenizer.eos_token_id]
        found = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        return [torch.tensor([*row[: self.block - 1], *end], dtype=torch.long) for row in found]

    def pair_tokens(
        self, sources: Sequence[str], targets: Sequence[Int[Tensor, " t"]]
    ) -> tuple[Int[Tensor, "m t"], Bool[Tensor, "m t"]]:
        """See `Conditions`."""
        import torch

        from nearfar.models.conditional import padded
        from nearfar.models.language import padding_token

        rows = [torch.cat(pair) for pair in zip(self._sources(sources), targets, strict=True)]
        return padded(rows, padding_token(self.tokenizer), self.model.device)

    def target_losses(
        self, model: Any, sources: Sequence[str], targets: Sequence[Int[Tensor, " t"]], owners: Sequence[int]
    ) -> Float[Tensor, " m"]:
        """See `Conditions`."""
        from nearfar.models.conditional import IGNORED, mean_losses

        before = self._sources(sources)
        tokens, mask = self.pair_tokens([sources[owner] for owner in owners], targets)
        labels = tokens.masked_fill(~mask, IGNORED)
        for row, owner in zip(labels, owners, strict=True):
            row[: len(before[owner])] = IGNORED
        logits = model(input_ids=tokens, attention_mask=mask.long(), use_cache=False).logits
        return mean_losses(logits[:, :-1], labels[:, 1:])

    def sample_targets(
        self,
        sources: Sequence[str],
        *,
        temperature: float = 0.0,
        max_new_tokens: int = 64,
        seed: int = 0,
        batch_size: int = 64,
    ) -> list[Int[Tensor, " t"]]:
        """See `Conditions`."""
        from nearfar.models.conditional import padded, sampled
        from nearfar.models.language import end_tokens, padding_token

        padding, rows = padding_token(self.tokenizer), self._sources(sources)

        def batches() -> Iterator[tuple[dict[str, Tensor], int]]:
            for start in range(0, len(rows), batch_size):
                tokens, mask = padded(rows[start : start + batch_size], padding, self.model.device, left=True)
                yield {"input_ids": tokens, "attention_mask": mask.long()}, tokens.shape[1]

        return sampled(
            self.model,
            batches(),
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            seed=seed,
            ends=end_tokens(self.model, self.tokenizer),
            padding=padding,
        )

    def target_texts(self, targets: Sequence[Int[Tensor, " t"]]) -> list[str]:
        """See `Conditions`."""
        return self.tokenizer.batch_decode([target.tolist() for target in targets], skip_special_tokens=True)

    def _sources(self, sources: Sequence[str]) -> list[Int[Tensor, " t"]]:
        """Source texts as a turn of the user in the model's chat format, or followed by a line break."""
        import torch

        if getattr(self.tokenizer, "chat_template", None):
            chats = [[{"role": "user", "content": source}] for source in sources]
            texts = [
                str(self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
                for chat in chats
            ]
            found = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        else:
            found = self.tokenizer([f"{source}\n" for source in sources])["input_ids"] if sources else []
        return [torch.tensor(row, dtype=torch.long) for row in found]

    def fingerprint(self, name: object) -> str | None:
        """A hash of the weight files, or of the tensors of a model in memory."""
        from nearfar.models.fingerprint import weights_fingerprint
        from nearfar.models.language import weights_hash

        return weights_hash(name) if isinstance(name, (str, Path)) else weights_fingerprint(self.model)

    def write(self, folder: Path) -> None:
        """In the format that `AutoModelForCausalLM` and `AutoTokenizer` load."""
        if self._write is None:
            self.model.save_pretrained(str(folder))
        else:
            self._write(self.model, folder)
        self.tokenizer.save_pretrained(str(folder))

    def configure(self, options: TrainingOptions) -> None:
        """Evaluate with blocks of the length used in training."""
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if isinstance(limit, int) and options.max_length > limit:
            problem = f"invalid value {options.max_length}: the model has {limit} positions"
            raise InputError(problem, field="max_length", remedy=f"use at most {limit}")
        self.block = options.max_length or self.block

    def rows_of(self, stage: Stage) -> Dataset:
        """The rows for the trainer: blocks of documents, or the stage's rows."""
        rows: Any = stage.rows
        return self.blocks(rows) if rows.column_names == ["text"] else rows

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        """Raise an InputError if the documents do not fill the blocks of one step."""
        from nearfar.kinds._language_trainer import check_rows

        assert isinstance(options, LanguageOptions)
        check_rows(self.rows_of(stage), options, f"blocks of {self.block} tokens")

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """The transformers trainer."""
        from nearfar.kinds._language_trainer import as_batch, language_trainer

        assert isinstance(options, LanguageOptions)
        return language_trainer(self.model, stage, self.rows_of(stage), as_batch, options, setting)

    def facts(self, trainers: list[Any]) -> dict[str, Any]:
        """Number of training tokens, parameters, memory and speed."""
        from nearfar.kinds._language_trainer import speed
        from nearfar.models.size import sizes

        seen, per_step = 0, None
        for trainer in trainers:
            first = trainer.train_dataset[0]
            if "input_ids" in first:
                arguments = trainer.args
                per_step = (
                    len(first["input_ids"])
                    * arguments.per_device_train_batch_size
                    * arguments.gradient_accumulation_steps
                    * arguments.world_size
                )
                seen += per_step * trainer.state.global_step
        return {"tokens_seen": seen, **sizes(self.model), "speed": speed(trainers, per_step)}
