"""Which device and number format a machine computes with, found once and shown to the reader."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

import torch

#: glibc's names for mallopt's parameters (malloc.h).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


@dataclass(frozen=True)
class Hardware:
    """Where the model runs.

    device: ``cuda``, ``mps`` or ``cpu``.
    dtype: number format of the weights that stay as they are; LoRA's own are float32.
    name: what a reader would call it.
    memory_gb: memory of the GPU; None on a CPU.
    """

    device: str
    dtype: torch.dtype
    name: str
    memory_gb: float | None = None

    @classmethod
    def find(cls, precision: str = "auto") -> Hardware:
        """The GPU if there is one, else the CPU.

        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the chip computes in it.
        """
        formats = {"float32": torch.float32, "bfloat16": torch.bfloat16}
        if precision != "auto" and precision not in formats:
            raise ValueError(f"precision is {precision!r}; give 'auto' or one of {sorted(formats)}")
        if torch.cuda.is_available():
            card = torch.cuda.get_device_properties(0)
            device, name, memory = "cuda", card.name, card.total_memory / 2**30
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        elif torch.backends.mps.is_available():
            device, name, memory, native = "mps", "Apple GPU", None, False
        else:
            _keep_freed_memory()
            device, memory, native = "cpu", None, cpu_computes_bfloat16()
            threads = torch.get_num_threads()
            name = f"CPU, {threads} thread{'s' * (threads > 1)}"
        best = torch.bfloat16 if native else torch.float32
        return cls(device, formats.get(precision, best), name, memory)

    @property
    def precision(self) -> str:
        """``float32`` or ``bfloat16``."""
        return str(self.dtype).removeprefix("torch.")

    def peak_memory_gb(self) -> float | None:
        """The most memory that PyTorch held on the GPU so far; None on a CPU."""
        return torch.cuda.max_memory_allocated() / 2**30 if self.device == "cuda" else None

    def __str__(self) -> str:
        memory = f", {self.memory_gb:.0f} GB" if self.memory_gb else ""
        return f"{self.name}{memory}, {self.precision}"


def cpu_computes_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AVX512-BF16 or AMX)."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _keep_freed_memory() -> None:
    """Tell glibc to keep what is freed.

    A training step frees and asks for the same large blocks over and over; to fetch them from the
    system each time costs up to a fifth of the step.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
