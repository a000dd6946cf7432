"""Fine-tuning as one call: notebook 4's recipe, for comparisons that take many models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    set_seed,
)
from trl import SFTTrainer

from procutils import predictor, training
from procutils.cases import Case
from procutils.encoding import Encoding
from procutils.hardware import Hardware
from procutils.models import DEFAULT, load_base, load_tokenizer, locate
from procutils.predictor import Predictor

#: The linear layers of a transformer block of SmolLM2, and of all that are built like it.
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True)
class Recipe:
    """How long and how fast a model learns; the defaults are notebook 4's.

    epochs: how often every case is seen. learning_rate: the peak. batch_size: cases per step.
    max_length: the tokens that a case may have.
    """

    epochs: int = 1
    learning_rate: float = 0.004
    batch_size: int = 4
    seed: int = 7
    max_length: int = 512


def lora(base: PreTrainedModel) -> LoraConfig:
    """Rank 16 in all linear layers of the top third of the model."""
    return LoraConfig(
        r=16,
        lora_alpha=32,
        target_modules=LINEAR,
        layers_to_transform=training.top_third(base),
        task_type="CAUSAL_LM",
    )


def fine_tune(
    cases: Sequence[Case],
    encoding: Encoding,
    folder: Path,
    recipe: Recipe,
    base_model: str = DEFAULT,
    *,
    start: Path | None = None,
    running: frozenset[str] = frozenset(),
) -> Predictor:
    """Train on the cases, save under ``folder``, and load what was saved.

    start: the folder of a fine-tuned model of the same base to go on from. running: ids of cases
    that may go on, as :func:`training.dataset` has them.
    """
    hardware, tokenizer = Hardware.find(), load_tokenizer(base_model)
    model, config = load_base(base_model, dtype=hardware.dtype), None
    if start is None:
        config = lora(model)
    else:
        model = PeftModel.from_pretrained(model, start / predictor.ADAPTER, is_trainable=True)
    rows = training.dataset(cases, encoding, tokenizer, recipe.max_length, running)
    trained = _train(model, tokenizer, rows, recipe, hardware, config)
    predictor.save(folder, trained, encoding, base_model)
    return Predictor.load(folder, hardware)


def from_scratch(
    cases: Sequence[Case],
    encoding: Encoding,
    recipe: Recipe,
    base_model: str = DEFAULT,
    *,
    layers: int = 4,
    width: int = 192,
    running: frozenset[str] = frozenset(),
) -> Predictor:
    """A small model of the base model's architecture, trained whole, from random weights.

    It shares the base model's tokenizer and nothing else. layers: transformer blocks. width: of
    the hidden state, a multiple of 64.
    """
    hardware, tokenizer = Hardware.find(), load_tokenizer(base_model)
    config = AutoConfig.from_pretrained(locate(base_model))
    config.update(
        {
            "num_hidden_layers": layers,
            "layer_types": None,
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_attention_heads": width // 64,
            "num_key_value_heads": width // 64,
            "head_dim": 64,
        }
    )
    set_seed(recipe.seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    rows = training.dataset(cases, encoding, tokenizer, recipe.max_length, running)
    trained = _train(model, tokenizer, rows, recipe, hardware, None)
    return Predictor(trained.to(hardware.device), tokenizer, encoding)


def _train(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Dataset,
    recipe: Recipe,
    hardware: Hardware,
    adapter: LoraConfig | None,
) -> PreTrainedModel | PeftModel:
    """The model after the recipe; checkpoints are not kept."""
    with TemporaryDirectory() as scratch:
        config = training.sft_config(
            hardware,
            Path(scratch),
            learning_rate=recipe.learning_rate,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            max_length=recipe.max_length,
        )
        config.save_strategy = "no"
        trainer = SFTTrainer(
            model=model,
            args=config,
            train_dataset=training.schedule(rows, recipe.epochs, recipe.batch_size, recipe.seed),
            processing_class=tokenizer,
            peft_config=adapter,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return trainer.model
