# make install · demo · test · test-slow · test-browser · test-slurm · quick · soak · lab · app · book · bench · effects · rehearse · chaos: each sets up .venv first if it is missing or older than requirements.txt.
# make lock · audit · sbom: after requirements.txt has changed, and before a release.
# Windows has no make: docs/clusters.md lists the same commands.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
READY := .venv/ready

.PHONY: help install demo test test-slow test-browser test-slurm quick soak lab app book bench effects rehearse chaos lock audit sbom clean

help:
	@sed -n '/^PYTHON/q; s/^# //p' Makefile

# Three gigabytes, a few minutes; every other command does it first where it is missing.
install: $(READY)

demo: $(READY)
	@$(BIN)/anysleep fetch nap outputs/demo || true
	$(BIN)/snakemake --cores 2 --config profile=demo --quiet rules
	@$(BIN)/anysleep show outputs/demo

test: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -p no:randomly --numprocesses 2 --dist worksteal -m "not slow"

# What takes long: the paper's run in rehearsal, notebooks again on other nights, trainings and graphs that are killed.
test-slow: $(READY)
	$(BIN)/pytest -p no:randomly --numprocesses 2 --dist worksteal -m slow

# Every notebook and the night browser in JupyterLab, and the page, in Chromium; where there is no Chromium, Playwright fetches one.
test-browser: $(READY)
	$(BIN)/pip install --quiet --requirement tests/browser/requirements.txt
	test -n "$(CHROMIUM)" || $(BIN)/playwright install chromium
	CHROMIUM=$(CHROMIUM) $(BIN)/pytest -p no:randomly -rP tests/browser

# The graph in shards on a Slurm of this machine: Debian, root, apt-get install slurm-wlm munge.
test-slurm: $(READY)
	$(BIN)/pip install --quiet --requirement profiles/slurm/requirements.txt
	unshare --mount --pid --fork --kill-child --mount-proc $(BIN)/pytest -p no:randomly -rP tests/slurm

# A minute of it, which touches every part.
quick: $(READY)
	$(BIN)/pytest -p no:randomly --numprocesses 2 --dist worksteal -m quick

# All of both ten times, each in another order: what is not the same each time is a fault.
soak: $(READY)
	for run in 1 2 3 4 5 6 7 8 9 10; do $(BIN)/pytest --quiet --numprocesses 2 --dist worksteal || exit 1; done

lab: $(READY)
	$(BIN)/jupyter lab --config=lib/anysleep/jupyter_lab_config.py

# One night as a web page, for this computer: the address with its token is printed. app/settings says what is allowed.
app: $(READY)
	$(BIN)/voila app/page.ipynb --Voila.config_file_paths=app/settings

# The documentation as a site in outputs/book, with the notebooks as `make demo` left them; a warning is an error.
book: $(READY)
	$(BIN)/pip install --quiet --requirement docs/requirements.txt --constraint requirements.txt
	$(BIN)/sphinx-build -c docs -E -W --keep-going --quiet . outputs/book
	cp outputs/book/README.html outputs/book/index.html

bench: $(READY)
	$(BIN)/python tests/bench/preparation.py
	$(BIN)/python tests/bench/loading.py
	$(BIN)/python tests/bench/training.py
	$(BIN)/python tests/bench/steps.py
	$(BIN)/python tests/bench/staging.py
	$(BIN)/python tests/bench/plain.py
	$(BIN)/python tests/bench/precision.py
	$(BIN)/python tests/bench/traits.py

effects: $(READY)
	missed=; for judge in effects physiology networks; do $(BIN)/python tests/bench/$$judge.py || missed=1; done; \
	$(BIN)/snakemake --cores 2 --config profile=effects --quiet rules && \
	$(BIN)/python tests/bench/planted.py && test -z "$$missed"

rehearse: $(READY)
	$(BIN)/python tests/rehearsal.py

# Thirty SIGKILLs of whatever is at work, each followed by the same command: nothing may be lost or left behind.
chaos: $(READY)
	$(BIN)/python tests/chaos.py

clean:
	rm -rf .venv outputs/demo outputs/rehearsal outputs/book

# Every version of requirements.txt, what other systems need beside, and the hash of every file; uv makes it. Torch is not
# in it: its builds have one version and many hashes, and CUDA comes with some of them.
lock:
	uv pip compile requirements.txt --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" --output-file requirements.all
	sed -E '/^(torch|triton|cuda-[a-z]*|nvidia-[a-z0-9-]*)==/,/[^\]$$/d' requirements.all > requirements.lock
	rm requirements.all

# Known weaknesses of the pinned packages, and their list in CycloneDX; what cannot be asked is an error, not a good answer.
audit: .venv/audit
	.venv/audit/bin/pip-audit --strict --requirement requirements.txt --disable-pip --no-deps

sbom: .venv/audit
	.venv/audit/bin/cyclonedx-py requirements requirements.txt --output-file outputs/sbom.json

.venv/audit: $(READY)
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet pip-audit==2.10.1 cyclonedx-bom==7.5.0

# uv where it is there and can, else pip. Without a GPU torch comes without CUDA: from where pip looks anyway, from torch's own
# index, or whatever build the version has, which on macOS and Windows is the right one.
TORCH := $(shell sed -n 's/^\(torch==[0-9.]*\).*/\1/p' requirements.txt)
PIP_TORCH := $(BIN)/pip install --quiet --no-compile --no-deps $(TORCH)+cpu
LOCKED := --quiet --no-deps --require-hashes --requirement requirements.lock
$(READY): requirements.txt requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info[:2] != (3, 11) and f'Python 3.11 is needed, $(PYTHON) is {sys.version}')"
	$(PYTHON) -m venv .venv
	{ command -v uv && uv pip install --python $(BIN)/python $(LOCKED); } || $(BIN)/pip install --no-compile $(LOCKED)
	command -v nvidia-smi || $(PIP_TORCH) 2>/dev/null || $(PIP_TORCH) --index-url https://download.pytorch.org/whl/cpu || true
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)
