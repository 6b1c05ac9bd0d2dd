# Everything happens in .venv, made by `make install` with the exact versions of constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# PyPI's torch for Linux brings gigabytes of CUDA; PIP_EXTRA_INDEX_URL, pointed at an index of CPU builds, avoids that.
TORCH ?= torch==2.13.0
export PIP_DISABLE_PIP_VERSION_CHECK = 1
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: install demo test test-all lint bench clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make install PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt "$(TORCH)"
	DS_BUILD_OPS=0 $(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

demo: install
	$(BIN)/lab run configs/quickstart.yaml

# Two files of tests at a time; the slow ones measure themselves against deadlines, and run alone.
test: install
	$(PYTEST) -m "not slow" -n 2 --dist loadfile

test-all: install
	$(PYTEST)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: install
	for file in tests/benchmarks/*.py; do OMP_NUM_THREADS=2 $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) *.egg-info build
