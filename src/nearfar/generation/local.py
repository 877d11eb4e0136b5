"""A causal language model on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from nearfar.errors import InputError
from nearfar.generation.interface import Decoding, Prompt, first_line
from nearfar.models.aliases import GENERATORS, alias_folder, sha256


class LocalModel:
    """A language model by name, loaded when it is first asked.

    Args:
        name: A folder or hub id with safetensors weights, a `.gguf` file, or a key of `GENERATORS` such as `smollm2`.
        batch_size: Prompts in one forward pass. Rounding depends on it, so a near tie may fall otherwise.
        device: Where it runs; the GPU where there is one.

    Raises:
        InputError: there is no such model.
    """

    def __init__(self, name: str | Path, batch_size: int = 16, device: str | None = None) -> None:
        self.name, self.batch_size, self.device = str(name), batch_size, device
        self.folder, self.gguf = _find(self.name)

    @cached_property
    def identity(self) -> str:
        """The name's last part and a hash of the weights."""
        files = [self.folder / self.gguf] if self.gguf else sorted(self.folder.glob("*.safetensors"))
        return f"{Path(self.name).name} {'+'.join(sha256(file)[:16] for file in files)}"

    def answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, str]]:
        """Answer in batches of prompts of like length. See `Generator.answers`."""
        if decoding.omega and any(prompt.opposite is None for prompt in prompts):
            raise ValueError("omega > 0 needs an opposite for every prompt")
        encode = self._tokenizer.encode
        rows = [encode(prompt.text) for prompt in prompts]
        against = [encode(str(prompt.opposite)) for prompt in prompts] if decoding.omega else []
        self._check_lengths([*rows, *against], decoding)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            found = self._generated([rows[i] for i in batch], [against[i] for i in batch if against], decoding)
            yield from zip(batch, found, strict=True)

    def _generated(self, rows: list[list[int]], against: list[list[int]], decoding: Decoding) -> list[str]:
        import torch
        from transformers import LogitsProcessorList

        from nearfar.generation.contrastive import Context, ContrastiveLogits

        processors = LogitsProcessorList()
        if against:
            opposite = Context.of(self._model, against, self._padding)
            processors.append(ContrastiveLogits(self._model, opposite, decoding.omega, decoding.plausibility))
        context = Context.of(self._model, rows, self._padding)
        with torch.no_grad():
            tokens = self._model.generate(
                input_ids=context.input_ids,
                attention_mask=context.attention_mask,
                past_key_values=context.cache,
                logits_processor=processors,
                max_new_tokens=decoding.max_tokens,
                do_sample=False,
                eos_token_id=self._ends or None,
                pad_token_id=self._padding,
            )
        answers = tokens[:, context.input_ids.shape[1] :]
        return [first_line(text) for text in self._tokenizer.batch_decode(answers, skip_special_tokens=True)]

    def _check_lengths(self, rows: list[list[int]], decoding: Decoding) -> None:
        limit = getattr(self._model.config, "max_position_embeddings", None)
        longest = max(map(len, rows), default=0) + decoding.max_tokens
        if min(map(len, rows), default=1) == 0:
            raise InputError("a prompt has no token", field="--model", remedy="give texts the model can read")
        if isinstance(limit, int) and longest > limit:
            problem = f"prompt and answer take {longest} tokens, and {self.name} reads {limit}"
            raise InputError(problem, field="--model", remedy="shorten the texts, or take another model")

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

        if self.gguf and importlib.util.find_spec("gguf") is None:
            raise InputError("reading GGUF needs the package gguf", file=self.gguf, remedy='pip install "nearfar[llm]"')
        options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
        if self.gguf:
            options["gguf_file"] = self.gguf
        weights = {} if self.gguf else {"use_safetensors": True}
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(self.folder), **options)
            model: Any = AutoModelForCausalLM.from_pretrained(str(self.folder), **options, **weights)
        except Exception as error:
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
            raise InputError(
                f"this does not load as a language model ({type(error).__name__}: {reason})",
                file=self.folder / (self.gguf or ""),
                remedy="pass a causal language model of transformers with its tokenizer",
            ) from error
        # The model's own taste (sampling, penalties) would make answers differ from call to call.
        model.generation_config = GenerationConfig()
        return model.to(self.device or ("cuda" if torch.cuda.is_available() else "cpu")).eval(), tokenizer

    @property
    def _model(self) -> Any:
        return self._loaded[0]

    @property
    def _tokenizer(self) -> Any:
        return self._loaded[1]

    @cached_property
    def _ends(self) -> list[int]:
        """Tokens that end an answer: the end of text, and all that hold a line end."""
        tokenizer = self._tokenizer
        texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        ends = {token for token, text in enumerate(texts) if "\n" in text}
        return sorted(ends | {tokenizer.eos_token_id} - {None})

    @property
    def _padding(self) -> int:
        known = (self._tokenizer.pad_token_id, self._tokenizer.eos_token_id)
        return next((token for token in known if token is not None), 0)


def _find(name: str) -> tuple[Path, str | None]:
    """The folder of a model, and its file of GGUF where it has one."""
    from nearfar.models.loading import find

    if name in GENERATORS:
        return alias_folder(name), GENERATORS[name].weights
    path = Path(name).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return path.parent, path.name
    folder = find(name)
    if not any(folder.glob("*.safetensors")):
        raise InputError(
            "this folder holds no safetensors weights", file=folder, remedy="name its .gguf file, or another model"
        )
    return folder, None
