"""The set-up files agree with each other, and say what the code needs."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
#: What a CUDA build of torch asks for: left out of the lock, since torch names it exactly.
CUDA = re.compile(r"nvidia-|cuda-|triton$")


def direct(*extras: str) -> dict[str, Requirement]:
    """The direct dependencies by canonical name: the core's and those of the given extras."""
    lines = PROJECT["dependencies"] + [line for extra in extras for line in EXTRAS[extra]]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def lock() -> dict[str, Requirement]:
    """The locked packages by canonical name."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    found = [
        Requirement(text) for line in lines if (text := re.split(r"(?:^|\s)#", line)[0].strip())
    ]
    names = [canonicalize_name(requirement.name) for requirement in found]
    assert len(names) == len(set(names)), "a package stands in requirements.lock twice"
    return dict(zip(names, found, strict=True))


def locked_version(requirement: Requirement) -> str:
    """The version of a line of the lock, which names one and no other."""
    (specifier,) = requirement.specifier
    assert specifier.operator == "==" and "*" not in specifier.version, requirement
    return specifier.version


def test_lock_is_exact_and_names_no_place():
    for requirement in lock().values():
        assert requirement.url is None, requirement
        assert "+" not in locked_version(requirement), f"{requirement}: a local version"
        assert not CUDA.match(requirement.name), f"{requirement} would reach CPU machines"
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_lock_satisfies_pyproject():
    locked = lock()
    for name, requirement in direct(*EXTRAS).items():
        assert name in locked, f"{name} is not in requirements.lock: run make lock"
        assert locked[name].marker is None, f"{name} is locked for some platforms only"
        version = locked_version(locked[name])
        assert requirement.specifier.contains(version), f"{requirement} is locked to {version}"


def test_lock_covers_every_dependency():
    """What the installed packages ask for on this platform is locked, in a version they take."""
    locked, missing, seen = lock(), [], set()
    todo = [(requirement, "pyproject.toml") for requirement in direct(*EXTRAS).values()]
    while todo:
        requirement, asker = todo.pop()
        name = canonicalize_name(requirement.name)
        if CUDA.match(name):
            continue
        if name not in locked:
            missing.append(f"{asker} needs {requirement}, which is not locked")
            continue
        if not requirement.specifier.contains(locked_version(locked[name]), prereleases=True):
            missing.append(f"{asker} needs {requirement}, but {locked[name]} is locked")
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for line in distribution(name).requires or []:
                wanted = Requirement(line)
                if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                    todo.append((wanted, name))
    assert not missing, "\n".join(missing)
    assert len(seen) > len(direct(*EXTRAS))


def test_versions_that_change_their_options_are_pinned():
    exact = {name for name, r in direct(*EXTRAS).items() if str(r.specifier).startswith("==")}
    assert exact == {"torch", "transformers", "trl", "peft"}
    for requirement in direct(*EXTRAS).values():
        assert re.search(r"[>=]=", str(requirement.specifier)), f"{requirement}: no lower bound"


def imports(tree: ast.AST) -> Iterator[str]:
    """The top-level names of the modules that a piece of code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


def code(path: Path) -> str:
    """The Python of a module, or of a notebook without its magics."""
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    lines = "\n".join(cell.source for cell in cells if cell.cell_type == "code").splitlines()
    return "\n".join(line for line in lines if not line.startswith(("%", "!")))


@pytest.mark.parametrize(
    ("pattern", "extras"),
    [
        ("procutils/**/*.py", ()),
        ("notebooks/**/*.ipynb", ("notebooks",)),
        ("tests/**/*.py", ("notebooks", "dev")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_imported_is_declared(pattern: str, extras: tuple[str, ...]):
    declared, providers = set(direct(*extras)), packages_distributions()
    known = {
        *sys.stdlib_module_names,
        "procutils",
        *(p.stem for p in (ROOT / "tests").iterdir()),
    }
    undeclared = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted(ROOT.glob(pattern))
        for name in sorted(set(imports(ast.parse(code(path)))) - known)
        if declared.isdisjoint(map(canonicalize_name, providers.get(name, [name])))
    ]
    assert not undeclared, "not among the dependencies in pyproject.toml:\n" + "\n".join(undeclared)


def test_no_copyleft_is_installed():
    checked = []
    for name in lock():
        try:
            metadata = distribution(name).metadata
        except PackageNotFoundError:  # locked for another platform
            continue
        classifiers = [c for c in metadata.get_all("Classifier", []) if c.startswith("License ::")]
        # The License field may hold the whole text, which may name other licences: take its head.
        fields = [metadata.get("License-Expression", ""), metadata.get("License", "")[:80]]
        stated = " ".join([*fields, *classifiers])
        assert not re.search(r"GPL|General Public", stated), f"{name}: {stated}"
        checked.append(name)
    assert set(direct(*EXTRAS)) <= set(checked)


def test_conda_environment_is_that_of_pyproject():
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, last = content["dependencies"]
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    makefile = (ROOT / "Makefile").read_text()
    (torch_index,) = re.findall(r"^TORCH_INDEX \?= (\S+)$", makefile, re.M)
    assert last["pip"] == [
        f"--extra-index-url {torch_index}",
        "-r requirements.lock",
        f"-e .[{','.join(sorted(EXTRAS, reverse=True))}]",
    ]


def test_docker_compose_is_pinned_and_local():
    content = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    server = content["services"]["kurrentdb"]
    assert re.fullmatch(r"[\w.]+/[\w/-]+/kurrentdb:\d+\.\d+\.\d+", server["image"]), server["image"]
    assert server["ports"] == ["127.0.0.1:2113:2113"]
    assert "network_mode" not in server, "the host's network would open every port"
    assert "/health/live" in server["healthcheck"]["test"][-1]
    mounted = dict(volume.split(":") for volume in server["volumes"])
    assert set(mounted) == set(content["volumes"])
    assert set(mounted.values()) == {"/var/lib/kurrentdb", "/var/log/kurrentdb"}
    settings = server["environment"]
    assert all(isinstance(v, str) and k.startswith("KURRENTDB_") for k, v in settings.items())
    assert settings["KURRENTDB_INSECURE"] == "true" and settings["KURRENTDB_NODE_PORT"] == "2113"


def make(*arguments: str, command: tuple[str, ...] = ("make",)) -> subprocess.CompletedProcess[str]:
    """Run make in the project's root, undisturbed by a make around the tests."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    if command != ("make",):
        environment["MAKEFLAGS"] = " ".join(("--", *arguments))
        arguments = ()
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "target", ["help", "setup", "run", "test", "lab", "bench", "lint", "format", "lock", "clean"]
)
def test_make_has_the_target(target: str):
    done = make("--dry-run", target)
    assert done.returncode == 0, done.stderr
    assert f"make {target} " in make("help").stdout


@pytest.fixture
def python(tmp_path: Path) -> list[str]:
    """Variables for make: a set-up that is done, and a Python that fails where a test wants it."""
    (tmp_path / "ready").touch()
    script = tmp_path / "python"
    script.write_text(
        f'#!/bin/sh\nenv > "{tmp_path}/env"\nls -d "$PROCUTILS_RUNS" >> "{tmp_path}/runs"\n'
        f'echo "$@" >> "{tmp_path}/calls"\n! echo "$@" | grep -q -f "{tmp_path}/failing"\n'
    )
    script.chmod(0o755)
    return [f"PY={script}", f"READY={tmp_path / 'ready'}"]


@pytest.mark.parametrize("entry", [("make", "test"), ("./.ci/run",)], ids=" ".join)
@pytest.mark.parametrize(
    ("failing", "passes"), [("nothing", True), ("pytest tests", False), ("--nbval-lax", False)]
)
def test_both_halves_of_make_test_count(
    python: list[str], tmp_path: Path, entry: tuple[str, ...], failing: str, passes: bool
):
    (tmp_path / "failing").write_text(failing.replace("--", "") + "\n")
    done = make(*python, command=entry)
    assert (done.returncode == 0) == passes, done.stderr
    first, second = (tmp_path / "calls").read_text().splitlines()
    assert "pytest tests" in first and "--nbval-lax --nbval-current-env" in second


def test_make_test_leaves_the_runs_of_the_user_alone(python: list[str], tmp_path: Path):
    (tmp_path / "failing").write_text("nothing\n")
    assert make(*python, command=("make", "test")).returncode == 0
    environment = dict(re.findall(r"^(\w+)=(.*)$", (tmp_path / "env").read_text(), re.M))
    for name, value in {
        "OMP_NUM_THREADS": "2",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
        "PYTHONHASHSEED": "0",
    }.items():
        assert environment[name] == value
    runs = set((tmp_path / "runs").read_text().splitlines())
    assert runs == {environment["PROCUTILS_RUNS"]}, "both halves have one folder, and it is there"
    assert not Path(environment["PROCUTILS_RUNS"]).is_relative_to(ROOT)
    assert not Path(environment["PROCUTILS_RUNS"]).exists(), "it is removed afterwards"
