# Everything here sets itself up: a fresh machine needs Python 3.11+, a C++ compiler and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test bench bench-share bench-convert lint docs stubs sanitize model clean

demo: $(READY)
	$(BIN)/colonnade demo

# By files, for the blocks of a page follow each other.
test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: bench-share bench-convert

bench-share: $(READY)
	$(BIN)/python -m benchmarks.share

bench-convert: $(READY)
	$(BIN)/python -m benchmarks.convert --plot docs/conversions.svg

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Pages and stubs that are printed from the code.
docs: $(READY)
	$(BIN)/python docs/print_conversions.py > docs/conversions.md

stubs: $(READY)
	$(BIN)/python -m nanobind.stubgen -q -m colonnade._core -o src/colonnade/_core.pyi

# The core alone, free of Python, under each sanitizer.
sanitize: build/sanitize-address,undefined build/sanitize-thread
	for program in $^; do echo $$program; $$program || exit 1; done

SANITIZED = $(CXX) -std=c++20 -g -O1 -fno-sanitize-recover=all -fsanitize=$* -Isrc/core -pthread -Wno-psabi
build/sanitize-%: tests/core/stress.cpp $(wildcard src/core/*)
	mkdir -p build
	$(SANITIZED) -c -o $@-portable.o src/core/kernels.cpp
	if [ "$$(uname -m)" = x86_64 ]; then $(SANITIZED) -mavx2 -mbmi2 -c -o $@-avx2.o src/core/kernels.cpp; fi
	$(SANITIZED) $$([ "$$(uname -m)" = x86_64 ] && echo -DCOLONNADE_X86 $@-avx2.o) -o $@ $@-portable.o \
		tests/core/stress.cpp src/core/execute.cpp src/core/choose.cpp src/core/pool.cpp

# The sharing protocol, every interleaving and every kill of it, and that its check finds what would break it.
model:
	$(PYTHON) docs/model/run.py

$(READY): pyproject.toml CMakeLists.txt $(wildcard src/core/*)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "colonnade needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip >= 25.1"
	$(BIN)/python -m pip install --quiet --editable ".[demo,polars,duckdb]" --group dev
	touch $@

clean:
	rm -rf $(VENV) build
