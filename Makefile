# Every target sets up .venv by itself, once; `make help` lists them.
#
#   PYTHON=python3.12      the interpreter that .venv is made from (3.11 or newer)
#   PROFILE=full           the profile of `make run`: quick, full or gpu
#   ARGS="--only 03,04"    further arguments, handed on to what the target calls
#   TORCH_INDEX=URL        where torch comes from, see below

PYTHON  ?= python3
PROFILE ?= quick
ARGS    ?=

VENV  := .venv
PY    := $(VENV)/bin/python
READY := $(VENV)/.ready
UV    := uv==0.13.9

# On Linux the default package index has torch with CUDA, several GB of it; PyTorch's own index has the
# CPU build, and that is what a set-up takes. For an NVIDIA GPU: `make clean`, then `make run TORCH_INDEX=`
# (the default index), or TORCH_INDEX=<one of PyTorch's CUDA indexes>. Elsewhere the default is small.
# Where pip is configured with a source of its own (a mirror, a folder), torch comes from there.
ifeq ($(shell uname -s),Linux)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
endif

# No progress widgets, and no notices from libraries to their own developers.
QUIET    := PYTHONWARNINGS="ignore:IProgress not found,ignore::FutureWarning"
TEST_ENV := $(QUIET) OMP_NUM_THREADS=2 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 TQDM_DISABLE=1 PYTHONHASHSEED=0

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test lab bench lint format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## install the locked versions into .venv

run: $(READY) ## execute the notebooks into runs/$(PROFILE), with ARGS="-p key value" to change parameters
	$(PY) -m procutils run --profile $(PROFILE) $(ARGS)

test: $(READY) ## unit tests, then every notebook; both must pass
	@runs=$$(mktemp -d) && trap 'rm -rf "$$runs"' EXIT && trap 'exit 130' INT TERM; \
	export $(TEST_ENV) PROCUTILS_RUNS="$$runs"; status=0; \
	OMP_NUM_THREADS=1 $(PY) -m pytest tests --numprocesses 2 --dist loadscope $(ARGS) || status=1; \
	$(PY) -m pytest --nbval-lax --nbval-current-env --timeout=1800 \
	  notebooks/0*.ipynb $(sort $(wildcard notebooks/solutions/*.ipynb)) || status=1; \
	exit $$status

lab: $(READY) ## open JupyterLab
	$(QUIET) $(PY) -m jupyterlab $(ARGS)

bench: $(READY) ## training, scoring, latency, KurrentDB and memory beside the other way to do each
	cd tests && $(QUIET) TOKENIZERS_PARALLELISM=false TQDM_DISABLE=1 $(abspath $(PY)) -m bench $(ARGS)

lint: $(READY) ## ruff over modules, tests and notebooks
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(READY) ## mend what lint can mend, and clean the notebooks of everything but code, prose and outputs
	$(PY) -m ruff check --fix --exit-zero --quiet .
	$(PY) -m ruff format .
	$(PY) -m nbstripout --keep-output --keep-count --keep-id \
	  --extra-keys "metadata.papermill cell.metadata.papermill cell.metadata.lines_to_next_cell" $(wildcard notebooks/*.ipynb notebooks/*/*.ipynb)

# One lock for Linux, macOS and Windows and for every Python from 3.11 on: the markers say what goes where.
# Versions stay as they are unless pyproject.toml forbids them; ARGS=--upgrade takes the newest.
# torch with CUDA names its own libraries, exactly; listed here they would reach CPU machines as well.
lock: | $(PY) ## write requirements.lock anew from pyproject.toml
	$(PY) -m pip install --quiet $(UV)
	$(PY) -m uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --all-extras \
	  --fork-strategy fewest --annotation-style line --no-header --output-file requirements.lock $(ARGS)
	{ echo '# Written by `make lock` from pyproject.toml; the libraries of a CUDA build of torch are left to torch.'; \
	  grep -vE '^(#|nvidia-|cuda-|triton==)' requirements.lock; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean: ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find procutils tests notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf

$(PY):
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; \
	  sys.version_info < (3, 11) and sys.exit(f"Python {v} is too old, 3.11 is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml requirements.lock | $(PY)
	@torch=$$(grep -oE '^torch==[^ ]+' requirements.lock); index="$(TORCH_INDEX)"; \
	if [ "$(origin TORCH_INDEX)" = file ] && $(PY) -m pip config list | grep -E 'index-url|find-links|no-index' >&2; \
	then echo "pip is configured as above, so torch comes from there; TORCH_INDEX=URL overrides"; index=; fi; \
	set -x; $(PY) -m pip install --no-deps $${index:+--extra-index-url "$$index"} "$$torch"
	$(PY) -m pip install -r requirements.lock
	$(PY) -m pip install --no-deps --editable .
	@touch $@
