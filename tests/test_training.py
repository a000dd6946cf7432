"""Training: what the model is shown, what each machine is told, and that nothing is lost."""

import pytest
import torch
from peft import LoraConfig
from tiny_model import tiny
from transformers import TrainerCallback
from trl import SFTTrainer

from procutils import models, training
from procutils.encoding import Encoding
from procutils.finance.processes import simulate
from procutils.hardware import Hardware
from procutils.tokens import MASKED

GPU = Hardware("cuda", torch.bfloat16, "a GPU", 8.0)
OLD_GPU = Hardware("cuda", torch.float32, "an old GPU", 4.0)
CPU = Hardware("cpu", torch.float32, "a CPU")


@pytest.fixture(scope="module")
def cases():
    return simulate(7, 90, rate=1.0)


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer()


def test_all_but_the_prompt_carries_loss_and_whole_cases_end(cases, tokenizer):
    encoding, running = Encoding.fit(cases), frozenset({cases[1].id})
    rows = training.dataset(cases, encoding, tokenizer, 512, running)
    for case, row in zip(cases, rows, strict=True):
        learned = [label for label in row["labels"] if label != MASKED]
        end = "" if case.id in running else tokenizer.eos_token
        assert tokenizer.decode(learned) == encoding.text(case) + end
        whole = encoding.prompt(case) + encoding.text(case) + end
        assert tokenizer.decode(row["input_ids"]) == whole


def test_a_schedule_shows_every_case_once_an_epoch_in_batches_of_like_length(cases, tokenizer):
    rows = training.dataset(cases, Encoding.fit(cases), tokenizer, 512)
    twice = training.schedule(rows, epochs=2, batch_size=6)
    epochs = [twice["input_ids"][:90], twice["input_ids"][90:]]
    assert epochs[0] != epochs[1]
    assert all(sorted(epoch) == sorted(rows["input_ids"]) for epoch in epochs)

    def padded(listed):
        batches = [listed[i : i + 6] for i in range(0, len(listed), 6)]
        return sum(len(batch) * max(map(len, batch)) for batch in batches)

    assert padded(epochs[0]) < padded(rows["input_ids"])
    assert training.schedule(rows, 2, 6)["input_ids"] == twice["input_ids"]


def test_a_long_case_is_refused_not_cut(cases, tokenizer):
    with pytest.raises(ValueError, match="raise max_length"):
        training.dataset(cases, Encoding.fit(cases), tokenizer, max_length=20)


def test_nothing_is_learned_from_no_cases(tokenizer):
    with pytest.raises(ValueError, match="give at least one"):
        training.dataset([], Encoding(), tokenizer, max_length=20)


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (CPU, {"use_cpu": True, "bf16": False, "dataloader_pin_memory": False}),
        (GPU, {"use_cpu": False, "bf16": True, "dataloader_pin_memory": True}),
        (OLD_GPU, {"use_cpu": False, "bf16": False, "dataloader_pin_memory": True}),
    ],
)
def test_what_each_machine_is_told(hardware, expected, tmp_path):
    options = training.options(
        hardware,
        tmp_path,
        learning_rate=1e-3,
        batch_size=2,
        gradient_accumulation=4,
        activation_checkpointing=True,
        max_length=256,
    )
    assert expected.items() <= options.items()
    assert options["packing"] is False and options["fp16"] is False
    small_card = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "activation_checkpointing": True,
        "max_length": 256,
    }
    assert small_card.items() <= options.items()


@pytest.mark.parametrize(
    ("native", "precision", "dtype"),
    [
        (True, "auto", torch.bfloat16),
        (False, "auto", torch.float32),
        (True, "float32", torch.float32),
    ],
)
def test_a_gpu_is_found_and_its_format_chosen(monkeypatch, native, precision, dtype):
    card = type("Card", (), {"name": "Test GPU", "total_memory": 8 * 2**30})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: card)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    hardware = Hardware.find(precision)
    assert (hardware.device, hardware.dtype, hardware.memory_gb) == ("cuda", dtype, 8.0)
    assert str(hardware).startswith("Test GPU, 8 GB")


def test_unknown_precision():
    with pytest.raises(ValueError, match="'float64'"):
        Hardware.find("float64")


def test_other_settings_never_resume(tmp_path):
    folders = {
        training.checkpoints(tmp_path, epochs=epochs, data=data)
        for epochs in (1, 2)
        for data in ({"as_of": 5}, {"as_of": 6})
    }
    assert len(folders) == 4
    assert training.checkpoints(tmp_path, epochs=1, data={"as_of": 5}) in folders


def test_the_top_third_of_the_layers_lies_next_to_the_output(tmp_path):
    model = models.load_base(str(tiny(tmp_path / "base")))
    model.config.num_hidden_layers = 30
    assert training.top_third(model) == list(range(20, 30))


class Interrupt(TrainerCallback):
    """Stands for a kill in the middle of the training."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 23:
            raise KeyboardInterrupt


def test_an_interrupted_training_resumes_to_the_same_end(cases, tokenizer, tmp_path):
    base = tiny(tmp_path / "base")
    rows = training.dataset(cases, Encoding.fit(cases), tokenizer, 512)
    rows = training.schedule(rows, epochs=2, batch_size=6)

    def train(output, *callbacks):
        trainer = SFTTrainer(
            model=models.load_base(str(base)),
            args=training.sft_config(CPU, output, learning_rate=1e-2, batch_size=6),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"),
            callbacks=[watch := training.Stopwatch(output), *callbacks],
        )
        trainer.train(resume_from_checkpoint=training.last_checkpoint(output))
        return trainer, watch.seconds

    whole, _ = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", Interrupt())
    assert training.last_checkpoint(tmp_path / "broken").endswith("checkpoint-20")
    resumed, seconds = train(tmp_path / "broken")
    steps = [entry["step"] for entry in resumed.state.log_history if "loss" in entry]
    assert steps == list(range(1, 31)), "steps were lost or done twice"
    assert seconds > 0
    for name, weight in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name], weight, msg=name)
