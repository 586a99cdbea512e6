# Two commands do everything: `make demo` and `make test`. Each sets itself up; each is safe to run twice.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test lint bench studies clean setup

demo: setup        ## train, transcribe and report, end to end
	$(BIN)/python demo/run.py

test: setup        ## the whole test suite
	$(BIN)/python -m pytest -n auto

lint: setup        ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy core/stentor plugins/asr/stentor_asr plugins/tts/stentor_tts plugins/align/stentor_align

# These train before they measure, for half an hour and more, or need trained runs.
STUDIES := $(wildcard benchmarks/alignment_*.py) $(addprefix benchmarks/,distillation.py dual_codebook.py first_packet.py mining.py one_layer.py)

bench: setup       ## every benchmark of speed and exactness, one JSON line each
	failed=0; for script in $(filter-out $(STUDIES),$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || failed=1; done; exit $$failed

studies: setup     ## the experiments behind docs/results, each of which trains
	failed=0; for script in $(STUDIES); do $(BIN)/python $$script || failed=1; done; exit $$failed

setup: $(STAMP)

# torch first and alone: with it in place no other package can pull another build of it.
$(STAMP): constraints.txt core/pyproject.toml plugins/asr/pyproject.toml plugins/tts/pyproject.toml plugins/align/pyproject.toml requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Stentor needs Python 3.11 or newer; say which with PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) \
	  || { echo "this Python cannot make a virtual environment (on Debian: apt install python3-venv)"; exit 1; }
	@echo "== installing (about two minutes the first time)"
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --requirement requirements-dev.txt
	$(BIN)/stentor doctor --fix
	@touch $@

clean:
	rm -rf $(VENV) runs corpora
