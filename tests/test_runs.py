"""Run directories and the chain, on throwaway notebooks with real kernels."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from nbformat import v4

from procutils import __main__ as cli
from procutils.chain import RunInUse, run_chain
from procutils.parameters import Parameter, UsageError, typed
from procutils.runs import Run

FIRST = 'run_name: str = "quick"  # the run\nseed: int = 7  # of all that is drawn\ncases: int = 3'
SECOND = 'run_name: str = "quick"\nrate: float = 0.5  # how fast\nfail: bool = False\nwait: int = 0'

#: Counts its executions in the run directory, in a file named after the notebook.
COUNT = """
from procutils.runs import Run
run = Run.open(run_name)
tally = run.path / "{name}.count"
tally.write_text(tally.read_text() + "x" if tally.exists() else "x")
"""


def write_notebook(folder: Path, name: str, parameters: str, *cells: str) -> Path:
    notebook = v4.new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        }
    )
    notebook.cells = [
        v4.new_markdown_cell(f"# {name}"),
        v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        *(v4.new_code_cell(cell) for cell in (COUNT.format(name=name), *cells)),
    ]
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


class Project:
    """A folder of notebooks with profiles, and a place for runs."""

    def __init__(self, path: Path) -> None:
        self.notebooks = path / "notebooks"
        self.profiles = path / "profiles"
        self.runs = path / "runs"
        self.notebooks.mkdir(parents=True)
        self.profiles.mkdir()
        write_notebook(
            self.notebooks,
            "01_first",
            FIRST,
            "run.record({'data': {'seed': seed, 'cases': cases}})",
            "import os, sys; print(sys.executable, os.getcwd(), os.environ['PYTHONHASHSEED'])",
        )
        write_notebook(
            self.notebooks,
            "02_second",
            SECOND,
            "import time; time.sleep(wait)",
            "assert not fail, 'asked to fail'",
            "run.record({'training': {'rate': rate}})",
        )
        write_notebook(self.notebooks, "03_third", FIRST)
        self.profile("tiny", "cases: 2\nrate: 0.25\n")

    def profile(self, name: str, text: str) -> None:
        (self.profiles / f"{name}.yaml").write_text(text)

    def run(self, name: str = "tiny", **options) -> int:
        options = {"profile": "tiny", "notebooks": self.notebooks, **options}
        return run_chain(name, profiles=self.profiles, **options)

    def counts(self, name: str = "tiny") -> list[int]:
        """How often each notebook was executed so far."""
        tallies = (self.runs / name / f"{path.stem}.count" for path in self.sorted())
        return [len(tally.read_text()) if tally.exists() else 0 for tally in tallies]

    def sorted(self) -> list[Path]:
        return sorted(self.notebooks.glob("*.ipynb"))

    def record(self, name: str = "tiny") -> dict:
        return json.loads((self.runs / name / "run.json").read_text())


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    made = Project(tmp_path)
    monkeypatch.setenv("PROCUTILS_RUNS", str(made.runs))
    return made


def test_a_chain_from_end_to_end(project, capsys):
    assert project.run(overrides={"seed": "11"}) == 0
    folder = project.runs / "tiny"
    assert yaml.safe_load((folder / "params.yaml").read_text()) == {
        "run_name": "tiny",
        "seed": 11,
        "cases": 2,
        "rate": 0.25,
    }
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics == {"data": {"seed": 11, "cases": 2}, "training": {"rate": 0.25}}

    record = project.record()
    assert record["status"] == "completed" and record["failure"] is None
    assert record["profile"] == "tiny" and record["seeds"] == {"seed": 11}
    assert record["started"] <= record["ended"]
    assert record["device"] and record["threads"] >= 1
    assert record["packages"]["kurrentdbclient"]
    assert set(record["notebooks"]) == {"01_first", "02_second", "03_third"}
    second = record["notebooks"]["02_second"]
    assert second["status"] == "completed" and len(second["code"]) == 64
    assert second["parameters"] == {"run_name": "tiny", "rate": 0.25, "fail": False, "wait": 0}

    executed = nbformat.read(folder / "01_first.ipynb", as_version=4)
    (where,) = [c.outputs[0].text.split() for c in executed.cells if "getcwd" in c.source]
    assert where == [sys.executable, str(project.notebooks), "0"]
    injected = nbformat.read(folder / "02_second.ipynb", as_version=4).cells[2].source
    assert "rate = 0.25" in injected and "seed" not in injected

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["01_first", "02_second", "03_third"]
    assert "6/6 cells" in lines[0] and "7/7 cells" in lines[1]  # with the injected one

    # Once more: it says so, runs nothing, and changes nothing.
    before = (folder / "run.json").read_bytes()
    assert project.run(overrides={"seed": "11"}) == 0
    assert "--fresh" in capsys.readouterr().out
    assert project.counts() == [1, 1, 1] and (folder / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "profile", "complaint"),
    [
        ({"overrides": {"cses": "5"}}, "", "'cses'.*did you mean cases"),
        ({"overrides": {"epochs": "5"}}, "", "'epochs'.*known: .*cases"),
        ({}, "raet: 0.5", "'raet' \\(from the profile\\).*did you mean rate"),
        ({"overrides": {"cases": "many"}}, "", "cases is declared as int.*'many'"),
        ({}, "cases: 2.5", "cases is declared as int.*2.5"),
        ({}, "fail: 1", "fail is declared as bool"),
        ({}, "cases: {a: 1}", "flat"),
        ({"overrides": {"run_name": "x"}}, "", "--name"),
        ({"only": ["07"]}, "", "'07'.*01_first, 02_second, 03_third"),
        ({"only": ["02", "03"]}, "", "03_third builds on 01_first"),
        ({"only": ["01"], "overrides": {"rate": "1"}}, "", "-p rate"),
        ({"profile": "huge"}, "", "'huge'.*tiny"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(project, options, profile, complaint):
    if profile:
        project.profile("tiny", profile)
    with pytest.raises(UsageError, match=complaint):
        project.run(**options)
    assert project.counts() == [0, 0, 0]
    assert not (project.runs / "tiny" / "run.json").exists()


def test_no_notebooks_is_an_error(project, tmp_path):
    with pytest.raises(UsageError, match="no notebooks"):
        project.run(notebooks=tmp_path)


def test_a_failing_cell_is_recorded_and_resumed(project, capsys):
    assert project.run(overrides={"fail": "true"}) == 1
    err = capsys.readouterr().err
    assert "02_second failed" in err and "asked to fail" in err
    record = project.record()
    assert record["status"] == "failed" and record["ended"]
    failure = record["failure"]
    assert failure["notebook"] == "02_second"
    assert failure["error"] == "AssertionError: asked to fail"
    failed = v4.new_notebook(cells=nbformat.read(project.notebooks / "02_second.ipynb", 4).cells)
    failed.cells.insert(2, v4.new_code_cell("# the injected values"))
    assert "asked to fail" in failed.cells[failure["cell"]].source
    assert record["notebooks"]["02_second"]["status"] == "failed"
    assert record["notebooks"]["03_third"]["status"] == "pending"
    executed = (project.runs / "tiny" / "02_second.ipynb").read_text()
    assert "asked to fail" in executed  # with its traceback
    assert project.counts() == [1, 1, 0]

    assert project.run() == 0
    assert project.counts() == [1, 2, 1]
    assert project.record()["failure"] is None and project.record()["status"] == "completed"


def test_what_changed_runs_again_with_all_that_follows(project):
    assert project.run() == 0
    assert project.run(overrides={"rate": "0.75"}) == 0
    assert project.counts() == [1, 2, 2]
    assert project.run(overrides={"rate": "0.75"}) == 0
    assert project.counts() == [1, 2, 2]

    notebook = nbformat.read(project.notebooks / "02_second.ipynb", 4)
    notebook.cells[0].source = "# Another title"
    notebook.cells[2].outputs = [v4.new_output("stream", text="stored")]
    nbformat.write(notebook, project.notebooks / "02_second.ipynb")
    assert project.run(overrides={"rate": "0.75"}) == 0
    assert project.counts() == [1, 2, 2]  # prose and stored outputs are no change

    notebook.cells[3].source += "\nprint('more')"
    nbformat.write(notebook, project.notebooks / "02_second.ipynb")
    assert project.run(overrides={"rate": "0.75"}) == 0
    assert project.counts() == [1, 3, 3]


def test_fresh_begins_anew_and_empties_nothing_else(project, tmp_path):
    assert project.run() == 0
    (project.runs / "tiny" / "kurrentdb").mkdir()
    assert project.run(fresh=True) == 0
    assert project.counts() == [1, 1, 1]
    assert not (project.runs / "tiny" / "kurrentdb").exists()

    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="does not look like a run"):
        project.run(str(precious), fresh=True)
    assert (precious / "thesis.txt").exists()


def test_only_runs_what_it_names(project):
    assert project.run(only=["01", "02"]) == 0
    assert project.counts() == [1, 1, 0] and project.record()["status"] == "partial"
    assert project.run(only=["02"]) == 0  # named, so run again
    assert project.counts() == [1, 2, 0]
    assert project.run() == 0
    assert project.counts() == [1, 2, 1] and project.record()["status"] == "completed"
    with pytest.raises(UsageError, match="03_third builds on 01_first, 02_second"):
        project.run(only=["03"], overrides={"cases": "5"})  # their inputs would be others


def start(project: Project, *arguments: str) -> subprocess.Popen:
    """The chain as a process of its own."""
    code = (
        "import sys; from pathlib import Path; from procutils.chain import run_chain\n"
        "sys.exit(run_chain('tiny', 'tiny', dict(a.split('=') for a in sys.argv[3:]),"
        " notebooks=Path(sys.argv[1]), profiles=Path(sys.argv[2])))"
    )
    folders = [str(project.notebooks), str(project.profiles)]
    return subprocess.Popen([sys.executable, "-c", code, *folders, *arguments])


def wait_for_second(project: Project) -> None:
    deadline = time.monotonic() + 300
    while project.counts()[1] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def hold_store(project: Project) -> None:
    """Have the second notebook hold the embedded store for as long as it runs."""
    write_notebook(
        project.notebooks,
        "02_second",
        SECOND,
        "from procutils.store import connect\ndb = connect(run.kurrentdb)",
        "(run.path / 'kernel.pid').write_text(str(__import__('os').getpid()))",
        "import time; time.sleep(wait)",
        "from procutils.store import commit_position\ncommit_position(db.client)\ndb.close()",
    )


def test_a_killed_chain_goes_on_where_it_was(project):
    hold_store(project)
    chain = start(project, "wait=60")
    kernel = project.runs / "tiny" / "kernel.pid"
    deadline = time.monotonic() + 300
    while not (kernel.exists() and kernel.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    orphan = int(kernel.read_text())
    chain.send_signal(signal.SIGKILL)
    chain.wait()
    os.kill(orphan, 0)  # it still lives, and holds the store
    assert project.record()["notebooks"]["02_second"]["status"] == "running"

    assert project.run() == 0  # at once: it waits for the orphan, then has the store to itself
    with pytest.raises(ProcessLookupError):
        os.kill(orphan, 0)
    assert project.counts() == [1, 2, 1] and project.record()["status"] == "completed"


def test_an_interrupt_leaves_a_run_that_goes_on(project):
    chain = start(project, "wait=60")
    wait_for_second(project)
    chain.send_signal(signal.SIGINT)
    assert chain.wait(timeout=30) != 0
    record = project.record()
    assert record["status"] == "interrupted"
    assert record["notebooks"]["02_second"]["status"] == "interrupted"
    assert project.run() == 0
    assert project.counts() == [1, 2, 1]


def test_two_chains_do_not_share_a_run(project, monkeypatch):
    monkeypatch.setattr("procutils.chain.PATIENCE", 0.5)
    chain = start(project, "wait=60")
    try:
        wait_for_second(project)
        with pytest.raises(RunInUse, match="another chain is at work"):
            project.run()
    finally:
        chain.send_signal(signal.SIGINT)
        chain.wait(timeout=30)


def test_no_file_of_a_run_holds_credentials(project, monkeypatch):
    uri = "kurrentdb://admin:s3cr3t@127.0.0.1:9?Tls=true"
    monkeypatch.setenv("KURRENTDB_URI", uri)
    hold_store(project)
    assert project.run() == 1
    assert "no KurrentDB answers at kurrentdb://***@" in project.record()["failure"]["error"]
    for path in (project.runs / "tiny").rglob("*"):
        assert not path.is_file() or b"s3cr3t" not in path.read_bytes(), path

    write_notebook(project.notebooks, "02_second", SECOND, f"raise ValueError({uri!r})")
    assert project.run() == 1
    assert "s3cr3t" not in (project.runs / "tiny" / "run.json").read_text()


def test_a_kernel_that_dies_is_a_failure(project):
    write_notebook(project.notebooks, "02_second", SECOND, "import os; os.kill(os.getpid(), 9)")
    assert project.run() == 1
    assert "kernel died" in project.record()["failure"]["error"]


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("int", "007", 7),
        ("int", "-3", -3),
        ("float", "1e-3", 0.001),
        ("float", 2, 2.0),
        ("bool", "False", False),
        ("str", "007", "007"),
        ("str", "yes", "yes"),
        ("list[int]", "[1, 2]", [1, 2]),
        ("list", ["a"], ["a"]),
    ],
)
def test_values_take_the_declared_type(kind, given, value):
    taken = typed(Parameter("p", kind, None), given)
    assert taken == value and type(taken) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("int", "1.5"),
        ("int", True),
        ("int", None),
        ("float", "fast"),
        ("float", True),
        ("bool", "1"),
        ("bool", 0),
        ("str", 7),
        ("list[int]", "[1, x]"),
        ("list[int]", "3"),
        ("list", "["),
    ],
)
def test_values_of_another_type_are_refused(kind, given):
    with pytest.raises(UsageError, match=r"parameter p is declared as|3 is not|'x' is not"):
        typed(Parameter("p", kind, None), given)


class TestRun:
    def test_records_merge(self, tmp_path):
        run = Run.open(tmp_path / "r")
        assert run.metrics == {}
        run.record(
            {"data": {"events": 3, "kurrentdb": "embedded"}, "speed": {"x": np.float32(0.5)}}
        )
        run.record({"data": {"events": np.int64(4)}, "training": {"seconds": 1.5}})
        expected = {
            "data": {"events": 4, "kurrentdb": "embedded"},
            "speed": {"x": 0.5},
            "training": {"seconds": 1.5},
        }
        assert run.metrics == expected
        assert run.metric("data.events", made_by="02") == 4

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), object()])
    def test_what_is_no_number_leaves_the_metrics_as_they_were(self, tmp_path, bad):
        run = Run.open(tmp_path / "r")
        run.record({"a": 1})
        with pytest.raises((ValueError, TypeError)):
            run.record({"a": 2, "b": bad})
        assert run.metrics == {"a": 1} and [p.name for p in run.path.iterdir()] == ["metrics.json"]

    def test_what_is_missing_names_the_notebook_to_run(self, tmp_path):
        run = Run.open(tmp_path / "r")
        with pytest.raises(FileNotFoundError, match=r"03_building_examples first.*'r'"):
            run.require("examples", made_by="03_building_examples")
        run.examples.mkdir()
        with pytest.raises(FileNotFoundError):
            run.require("examples", made_by="03_building_examples")
        (run.examples / "train.jsonl").touch()
        assert run.require("examples", made_by="03_building_examples") == run.examples
        with pytest.raises(LookupError, match=r"data\.events: run notebook 02_seeding first"):
            run.metric("data.events", made_by="02_seeding")

    def test_names_stay_in_the_runs_folder(self, project):
        assert Run.open("quick").path == project.runs / "quick"
        for name in ("../elsewhere", "a/b", "..", ".", "", "profiles"):
            with pytest.raises(ValueError, match="cannot name a run"):
                Run.open(name)


class TestCommandLine:
    def test_bad_usage_exits_2(self, project, capsys):
        assert cli.main(["run", "--profile", "nonesuch"]) == 2
        assert "nonesuch" in capsys.readouterr().err
        for arguments in ([], ["fly"], ["run", "-p", "cases"], ["kurrentdb"]):
            with pytest.raises(SystemExit) as exit_:
                cli.main(arguments)
            assert exit_.value.code == 2

    def test_the_embedded_server_is_a_process_of_its_own(self, tmp_path, monkeypatch):
        from procutils.store import connect

        command = [sys.executable, "-m", "procutils", "kurrentdb", "--port", "0", "--data"]
        server = subprocess.Popen([*command, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        try:
            uri = next(word for word in server.stdout.readline().split() if "://" in word)
            second = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
            assert second.returncode == 1 and uri in second.stderr
            monkeypatch.setenv("KURRENTDB_URI", uri)
            with connect(tmp_path) as db:
                assert db.kind == "external"
        finally:
            server.terminate()
            assert server.wait(timeout=30) == 0
