"""The tutorial as one chain, with a firm and a model so small that they learn next to nothing.

Its database is a server of another process, which KURRENTDB_URI names, and which holds streams of
others already. That the notebooks do without one, and say what they should with the real model, is
for the notebooks' own execution.
"""

import json
from pathlib import Path

import pytest
from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from tiny_model import tiny_with_tokenizer

from procutils.chain import NOTEBOOKS, run_chain

pytestmark = pytest.mark.timeout(1800)  # nine notebooks, on a machine that may be busy

TINY = {
    "cases": "420",
    "train_cases": "200",
    "calibration_cases": "90",
    "epochs": "1",
    "learning_rate": "0.02",
    "alpha": "0.2",
    "normal_cases": "40",
    "anomalous_cases": "30",
    "explained_alerts": "3",
    "graded_normal": "60",
    "graded_per_tier": "6",
    "graded_draws": "2",
    "silence_cases": "20",
    "graded_alerts": "12",
    "second_seed": "8",
    "compared_cases": "10",
    "curve_cases": "[12]",
    "other_cases": "12",
    "new_cases": "[2]",
    "live_cases": "40",
    "live_wrong": "16",
    "events_per_second": "100",
    "deadline_cases": "15",
    "few_cases": "[3, 6]",
}

#: What metrics.json holds at least; see the README of a run.
KEYS = [
    "data.streams",
    "data.events",
    "data.event_types",
    "data.examples",
    "data.kurrentdb",
    "data.commit_position",
    "data.test_prefixes_seen_in_training",
    "training.base_model",
    "training.seconds",
    "training.tokens",
    "training.nll_per_event",
    "training.bayes_nll_per_event",
    "training.regret_per_event",
    "benchmark.prototype.normal",
    "benchmark.prototype.anomalous",
    "benchmark.prototype.precision",
    "benchmark.prototype.recall",
    "benchmark.prototype.f1",
    "benchmark.prototype.precision_ci",
    "benchmark.prototype.recall_ci",
    "benchmark.prototype.f1_ci",
    "benchmark.calibration.target_fpr",
    "benchmark.calibration.observed_fpr",
    "benchmark.calibration.observed_fpr_ci",
    "benchmark.localisation.hit_at_1",
    "benchmark.localisation.kind_macro_f1",
    "benchmark.localisation.mean_delay_events",
    "benchmark.graded.payload.language_model.auroc",
    "benchmark.graded.payload.language_model.recall_at_1pct_fpr_ci",
    "benchmark.graded.silence.language_model.auroc",
    "watchdog.alerts",
    "watchdog.anomalies_found",
    "transfer.regret.base_model",
    "transfer.few_shot_paired",
    "transfer.mixture_weights.type",
    "watchdog.lost",
    "watchdog.doubled",
    "watchdog.threshold_after",
    "streams.next_event.mixture.accuracy",
    "streams.next_event_without_end.n_gram.macro_f1",
    "streams.anomalies.both_ways.average_precision",
    "streams.few_cases.names",
    "speed.train_tokens_per_second",
    "speed.score_events_per_second",
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The parameters of the chain, a base model among them."""
    base = tiny_with_tokenizer(tmp_path_factory.mktemp("tiny"))
    return TINY | {"base_model": str(base)}


@pytest.fixture(scope="module")
def run(runs_folder: Path, settings: dict[str, str], server_process: str) -> Path:
    """The run directory of one whole chain."""
    of_others = [NewEvent("ParcelSent", b"{}"), NewEvent("NotEvenJson", b"?")]
    with KurrentDBClient(server_process) as client:
        client.append_to_stream("parcel-1", current_version=StreamState.NO_STREAM, events=of_others)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KURRENTDB_URI", server_process)
        assert run_chain("tiny", overrides=settings) == 0
    return runs_folder / "tiny"


def test_every_notebook_ran_in_order(run: Path):
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "completed"
    executed = sorted(path.name[:2] for path in run.glob("*.ipynb"))
    assert executed == sorted(path.name[:2] for path in NOTEBOOKS.glob("[0-9]*.ipynb"))


def test_every_promised_number_is_there(run: Path):
    metrics = json.loads((run / "metrics.json").read_text())

    def missing(key: str) -> bool:
        value = metrics
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value is None

    assert not [key for key in KEYS if missing(key)]


def test_a_run_leaves_what_a_team_needs(run: Path):
    for made in (
        *("params.yaml", "metrics.json", "examples/train.jsonl", "examples/DATA_CARD.md"),
        *("examples/train_chat.jsonl", "model/adapter/adapter_model.safetensors"),
        *("model/encoding.json", "model/calibration.json", "model/README.md"),
    ):
        assert (run / made).stat().st_size > 0, made
    assert not any(run.rglob("*.sqlite3"))  # all of it went to the other server


def test_a_finished_run_is_not_repeated(run: Path, settings: dict[str, str]):
    before = (run / "04_lora_fine_tuning.ipynb").stat().st_mtime_ns
    assert run_chain("tiny", overrides=settings) == 0
    assert (run / "04_lora_fine_tuning.ipynb").stat().st_mtime_ns == before
