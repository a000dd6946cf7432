"""What TRL and PEFT are told, and what a training run leaves behind."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint
from trl import SFTConfig

from procutils.cases import Case
from procutils.encoding import Encoding
from procutils.hardware import Hardware
from procutils.tokens import MASKED, tokenise

#: So many batches' cases are drawn at random before they are grouped by length.
WINDOW = 4


def dataset(
    cases: Iterable[Case],
    encoding: Encoding,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    running: frozenset[str] = frozenset(),
) -> Dataset:
    """Rows of ``input_ids`` and ``labels``: one per case; see ``Tokens.labels`` for what is masked.

    running: ids of cases that may go on: their text does not end with the end-of-text token.
    Raises ValueError if there are no cases, or if one has more than ``max_length`` tokens: nothing
    is cut silently.
    """
    rows = [tokenise(case, encoding, tokenizer, case.id not in running) for case in cases]
    if not rows:
        raise ValueError("no cases to learn from: give at least one")
    longest = max(len(row.ids) for row in rows)
    if longest > max_length:
        raise ValueError(
            f"the longest case has {longest} tokens, max_length is {max_length}: raise max_length, "
            "or leave that case out"
        )
    return Dataset.from_dict(
        {"input_ids": [row.ids for row in rows], "labels": [row.labels for row in rows]}
    )


def schedule(rows: Dataset, epochs: int, batch_size: int, seed: int = 7) -> Dataset:
    """The rows in the order in which they are learned from, ``epochs`` times over.

    Batches hold cases of like length, for little padding, and come in random order; one that is not
    full shifts those after it, which then straddle two lengths. Sorting a whole epoch by length
    would be faster still, but cases of one process are of like length: the model would see one
    process after the other, and forget each meanwhile.
    """
    rng, length = random.Random(seed), [len(ids) for ids in rows["input_ids"]]
    order: list[int] = []
    for _ in range(epochs):
        shuffled = rng.sample(range(len(rows)), len(rows))
        pool = WINDOW * batch_size
        pools = [shuffled[i : i + pool] for i in range(0, len(rows), pool)]
        grouped = [i for chosen in pools for i in sorted(chosen, key=length.__getitem__)]
        batches = [grouped[i : i + batch_size] for i in range(0, len(rows), batch_size)]
        rng.shuffle(batches)
        order += [i for batch in batches for i in batch]
    return rows.select(order)


def top_third(model: PreTrainedModel) -> list[int]:
    """The indices of the layers nearest to the output, a third of all."""
    layers = model.config.num_hidden_layers
    return list(range(layers * 2 // 3, layers))


def options(
    hardware: Hardware,
    output: Path,
    *,
    learning_rate: float,
    batch_size: int,
    gradient_accumulation: int = 1,
    activation_checkpointing: bool = False,
    max_length: int = 512,
    seed: int = 7,
) -> dict[str, Any]:
    """What TRL is told on this hardware; its defaults that need a GPU are turned off on a CPU.

    A checkpoint is kept every 20 steps, so that an interrupted training resumes.
    """
    return {
        "output_dir": str(output),
        "num_train_epochs": 1,  # of a schedule that holds them all
        "learning_rate": learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.05,  # a share of all
        "per_device_train_batch_size": batch_size,
        "gradient_accumulation_steps": gradient_accumulation,
        "activation_checkpointing": activation_checkpointing,
        "max_length": max_length,
        "train_sampling_strategy": "sequential",  # the order of the schedule
        "use_cpu": hardware.device == "cpu",
        "bf16": hardware.device == "cuda" and hardware.precision == "bfloat16",
        "fp16": False,
        "packing": False,  # needs FlashAttention; the cases are short
        "dataloader_pin_memory": hardware.device == "cuda",
        "save_strategy": "steps",
        "save_steps": 20,
        "save_total_limit": 1,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "seed": seed,
        "data_seed": seed,
    }


def sft_config(hardware: Hardware, output: Path, **settings: Any) -> SFTConfig:
    """TRL's configuration with these :func:`options`."""
    return SFTConfig(**options(hardware, output, **settings))


def checkpoints(folder: Path, **settings: Any) -> Path:
    """The folder for the checkpoints of a training with these settings.

    Other settings get another folder, so that no training resumes from a different one.
    """
    text = json.dumps(settings, sort_keys=True, default=str)
    return folder / hashlib.sha256(text.encode()).hexdigest()[:12]


def last_checkpoint(output: Path) -> str | None:
    """The checkpoint to resume from, if an earlier training was interrupted."""
    return get_last_checkpoint(str(output)) if output.is_dir() else None


class Stopwatch(TrainerCallback):
    """Seconds spent in training steps, those before an interruption included.

    Kept beside the checkpoints: what was done after the last of them is done, and counted, again.
    """

    def __init__(self, output: Path) -> None:
        self.file = output / "seconds.json"
        self.seconds = 0.0

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        before = json.loads(self.file.read_text()) if state.global_step else 0.0
        self.started = perf_counter() - before

    def on_save(self, args, state, control, **kwargs) -> None:
        self.file.write_text(json.dumps(perf_counter() - self.started))

    def on_train_end(self, args, state, control, **kwargs) -> None:
        self.seconds = perf_counter() - self.started


def shown(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, bool]]:
    """The tokens of one dataset row as text, each with whether it carries loss."""
    return [
        (tokenizer.decode([token]), label != MASKED)
        for token, label in zip(row["input_ids"], row["labels"], strict=True)
    ]


def model_card(base_model: str, settings: dict[str, Any], numbers: dict[str, Any]) -> str:
    """A page about the model: what it is, how it was trained, how well it does."""

    def table(rows: dict[str, Any]) -> list[str]:
        return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]

    return "\n".join(
        [
            "# Model card",
            "",
            f"A LoRA adapter for {base_model}. It reads a business case as text and gives the "
            "probability of each next event. It knows the processes it was trained on and nothing "
            "else; it is made to point at what is unusual, not to decide about people.",
            "",
            "## Training",
            *table(settings),
            "",
            "## Measured",
            *table(numbers),
            "",
        ]
    )
