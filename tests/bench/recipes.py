"""Two recipes for one base model: this project's, and the prototype's."""

from __future__ import annotations

from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

from procutils import training
from procutils.fine_tuning import lora
from procutils.hardware import Hardware
from procutils.models import load_base, load_tokenizer

from .streams import Streams, chats

EPOCHS, BATCH, LEARNING_RATE = 4, 4, 0.002

#: The prototype's: examples per forward pass, passes per optimiser step, epochs.
ITS_BATCH, ITS_PASSES, ITS_EPOCHS, ITS_LEARNING_RATE = 2, 4, 3, 2e-4

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]

OURS = (
    f"notebook 4's recipe, to its end: a case is an example, {EPOCHS} epochs in batches of "
    f"{BATCH}, LoRA of rank 16 on all linear layers of the top third"
)
PROTOTYPE = (
    "the prototype's recipe: a chat for each prefix, loss on all of it, "
    f"{ITS_EPOCHS} epochs in batches of {ITS_BATCH} × {ITS_PASSES}, LoRA of rank 16 on the "
    "attention of all layers"
)


def ours(streams: Streams, base_model: str, hardware: Hardware, output: Path) -> SFTTrainer:
    """As OURS says."""
    tokenizer = load_tokenizer(base_model)
    rows = training.dataset(streams.train, streams.encoding, tokenizer, 512, streams.running)
    base = load_base(base_model, dtype=hardware.dtype)
    return SFTTrainer(
        model=base,
        args=training.sft_config(hardware, output, learning_rate=LEARNING_RATE, batch_size=BATCH),
        train_dataset=training.schedule(rows, EPOCHS, BATCH),
        processing_class=tokenizer,
        peft_config=lora(base),
    )


def prototype(
    streams: Streams, prompt: str, base_model: str, hardware: Hardware, output: Path
) -> SFTTrainer:
    """As PROTOTYPE says, on the same weights in the same precision."""
    options = training.options(
        hardware,
        output,
        learning_rate=ITS_LEARNING_RATE,
        batch_size=ITS_BATCH,
        gradient_accumulation=ITS_PASSES,
    )
    its_own = {
        "num_train_epochs": ITS_EPOCHS,
        "warmup_steps": 0.1,
        "train_sampling_strategy": "random",
        "logging_steps": 10,
        "save_strategy": "epoch",
    }
    examples = [chat for case in streams.train for chat in chats(case, prompt)]
    return SFTTrainer(
        model=load_base(base_model, dtype=hardware.dtype),
        args=SFTConfig(**options | its_own),
        train_dataset=Dataset.from_list(examples),
        processing_class=load_tokenizer(base_model),
        peft_config=LoraConfig(
            r=16,
            lora_alpha=32,
            lora_dropout=0.05,
            target_modules=ATTENTION,
            task_type="CAUSAL_LM",
        ),
    )
