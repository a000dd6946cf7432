"""A model of SmolLM2's architecture with random weights, small enough to be made in a moment."""

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from procutils.models import load_tokenizer


def tiny(folder: Path) -> Path:
    """Save the model into ``folder``."""
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        vocab_size=49_152,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def tiny_with_tokenizer(folder: Path) -> Path:
    """As :func:`tiny`, with the real tokenizer beside it: whole as a base model."""
    load_tokenizer().save_pretrained(folder)
    return tiny(folder)
