"""The causal language model: a transformers model and trainer, on documents packed into blocks of tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nearfar.errors import InputError
from nearfar.kinds._conditional import Conditional
from nearfar.kinds.kind import Kind, Setting
from nearfar.kinds.options import LanguageOptions, TrainingOptions
from nearfar.models.abilities import Continues, ExposesStates, Generates, Predicts

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float, Int
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nearfar.kinds.plan import Stage
    from nearfar.models.chat import Prompt
    from nearfar.models.head import StatesAndHead

__all__ = ["BLOCK", "CausalLM", "padded"]

#: Tokens per block in evaluation, unless the model has fewer positions or was trained with another length.
BLOCK = 256
#: The columns of questions and answers.
PAIR = ("anchor", "positive")


class CausalLM(Kind, Predicts, Generates, Continues, ExposesStates, Conditional):
    """A causal language model with its tokenizer. It has all abilities of language models.

    If a stage's rows have only the column `text`, they are documents and are packed into blocks of `max_length` tokens.
    Questions and answers (`anchor`, `positive`) are formatted by the tokenizer's chat template if it has one, and only
    the answers are predicted. Any other rows reach the loss unchanged, with all columns.

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
    predicts_also: ClassVar[tuple[tuple[str, ...], ...]] = (PAIR,)

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
    ) -> Float[np.ndarray, " items"]:
        """The mean log-probability per token of each block, without its first token, or of each answer, in nats.

        Args:
            rows: Documents (column `text`), blocks (column `input_ids`), or questions and answers (`anchor`,
                `positive`).
            batch_size: Blocks or rows in one forward pass.
            progress: Called with (items done, number of items).
        """
        import numpy as np
        import torch
        from torch.nn import functional as F

        if set(PAIR) <= set(rows.column_names):
            return self._of_answers(rows, batch_size, progress)
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

    def _of_answers(
        self, rows: Dataset, batch_size: int, progress: Callable[[int, int], None] | None
    ) -> Float[np.ndarray, " rows"]:
        import numpy as np
        import torch

        from nearfar.models.conditional import answer_losses

        answers, items = self.answers(rows), []
        with torch.no_grad():
            for start in range(0, len(answers), batch_size):
                part = [answers[row] for row in range(start, min(start + batch_size, len(answers)))]
                batch = {name: value.to(self.model.device) for name, value in padded(part).items()}
                items += (-answer_losses(self.model.eval(), batch.pop("labels"), batch).double()).tolist()
                if progress is not None:
                    progress(len(items), len(answers))
        return np.asarray(items)

    def answers(self, rows: Dataset) -> Dataset:
        """Questions and answers as `input_ids` and `labels`, of at most `block` tokens."""
        from nearfar.models.answers import answer_rows

        return answer_rows(rows.select_columns(list(PAIR)), self.tokenizer, self.block)

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

        prompt = self.prompt("")  # the tokens of an answer do not depend on the question
        rows = [prompt.answer(self.tokenizer, text, end=True) for text in texts]
        return [torch.tensor(row[: self.block], dtype=torch.long) for row in rows]

    def source_tokens(self, texts: Sequence[str]) -> list[Int[Tensor, " t"]]:
        """Source texts as questions, in the format of training and of generation."""
        import torch

        rows = [self.prompt(source).tokens(self.tokenizer) for source in texts]
        return [torch.tensor(row[-self.block :], dtype=torch.long) for row in rows]

    def target_losses(
        self, model: Any, sources: Sequence[str], targets: Sequence[Int[Tensor, " t"]], owners: Sequence[int]
    ) -> Float[Tensor, " m"]:
        """See `Conditions`."""
        from nearfar.models.answers import IGNORED
        from nearfar.models.conditional import answer_losses

        lengths = [len(tokens) for tokens in self.source_tokens(sources)]
        tokens, mask = self.pair_tokens([sources[owner] for owner in owners], targets)
        labels = tokens.masked_fill(~mask, IGNORED)
        for row, owner in zip(labels, owners, strict=True):
            row[: lengths[owner]] = IGNORED
        inputs = {"input_ids": tokens, "attention_mask": mask.long()}
        return answer_losses(model, labels, inputs, owner=self.model)

    def prompt(self, source: str) -> Prompt:
        """See `nearfar.models.answers.question_prompt`."""
        from nearfar.models.answers import question_prompt

        return question_prompt(self.tokenizer, source)

    def positions(self, source: int, new: int) -> int:
        """See `Conditions`: new tokens stand after the source."""
        return source + new

    def generation_inputs(self, sources: Sequence[Int[Tensor, " t"]]) -> tuple[dict[str, Tensor], int]:
        """See `Conditions`: the result repeats the sources, which are padded on the left."""
        from nearfar.models.conditional import padded

        tokens, mask = padded(sources, self.padding, self.model.device, left=True)
        return {"input_ids": tokens, "attention_mask": mask.long()}, tokens.shape[1]

    def language_model(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The model in evaluation mode, and the tokenizer."""
        return self.model.eval(), self.tokenizer

    def tokens(self, text: str, most: int) -> tuple[list[int], list[int]]:
        """The first tokens of a text, with special tokens before it, and the character after which each ends.

        There are at most `most`, and no more than the model has positions.
        """
        if not self.tokenizer.is_fast:
            problem = f"{type(self.tokenizer).__name__} does not know the characters of its tokens"
            raise InputError(problem, remedy="use a model with a tokenizer.json")
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        most = min(most, limit) if isinstance(limit, int) else most
        found = self.tokenizer(text, return_offsets_mapping=True, truncation=True, max_length=most, verbose=False)
        ids, ends = found["input_ids"], [end for _, end in found["offset_mapping"]]
        # Special tokens after the text have no characters.
        while len(ends) > 1 and ends[-1] == 0:
            ids, ends = ids[:-1], ends[:-1]
        return ids, ends

    def states(self, tokens: Sequence[int]) -> StatesAndHead:
        """See `nearfar.models.head.states_of`."""
        import torch

        from nearfar.models.head import states_of

        return states_of(self.model.eval(), torch.tensor(tokens, device=self.model.device))

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
        """The rows for the trainer: blocks of documents, questions with answers as tokens, or the stage's rows."""
        rows: Any = stage.rows
        if rows.column_names == ["text"]:
            return self.blocks(rows)
        return self.answers(rows) if rows.column_names == list(PAIR) else rows

    def check_stage(self, stage: Stage, options: TrainingOptions) -> None:
        """Raise an InputError if the rows, or the blocks of the documents, do not fill one step."""
        from nearfar.kinds._language_trainer import check_rows

        assert isinstance(options, LanguageOptions)
        rows = self.rows_of(stage)
        check_rows(rows, options, f"blocks of {self.block} tokens" if rows.column_names == ["input_ids"] else "rows")

    def trainer(self, stage: Stage, options: TrainingOptions, setting: Setting) -> Any:
        """The transformers trainer."""
        from nearfar.kinds._language_trainer import as_batch, language_trainer

        assert isinstance(options, LanguageOptions)
        rows = self.rows_of(stage)
        collate = padded if rows.column_names == ["input_ids", "labels"] else as_batch
        return language_trainer(self.model, stage, rows, collate, options, setting)

    def facts(self, trainers: list[Any]) -> dict[str, Any]:
        """Number of training tokens, parameters, memory and speed."""
        from nearfar.kinds._language_trainer import speed
        from nearfar.models.size import sizes

        seen, per_step = 0, None
        for trainer in trainers:
            first = trainer.train_dataset[0]
            if "labels" in first:
                seen += trainer.tokens
            elif "input_ids" in first:
                arguments = trainer.args
                per_step = (
                    len(first["input_ids"])
                    * arguments.per_device_train_batch_size
                    * arguments.gradient_accumulation_steps
                    * arguments.world_size
                )
                seen += per_step * trainer.state.global_step
        return {"tokens_seen": seen, **sizes(self.model), "speed": speed(trainers, per_step)}


def padded(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A batch of rows with `input_ids` and `labels` of different lengths, padded on the right."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from nearfar.models.answers import IGNORED

    ids = [row["input_ids"] for row in rows]
    return {
        "input_ids": pad_sequence(ids, batch_first=True),
        "attention_mask": pad_sequence([torch.ones_like(each) for each in ids], batch_first=True),
        "labels": pad_sequence([row["labels"] for row in rows], batch_first=True, padding_value=IGNORED),
    }
