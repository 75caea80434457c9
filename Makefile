# Everything here sets itself up: a fresh machine needs Python 3.11+, a C++ compiler and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Compiled modules are kept, whatever the environment says: hundreds of tests start Python, and compiling takes each of them 0.15 s.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo check style test readers torch hosts stress bench bench-share bench-convert bench-handoff bench-jobs bench-hosts bench-append bench-rivals gates lint docs stubs sanitize model litmus fuzz fuzz-sanitized fuzz-atheris clean

demo: $(READY)
	$(BIN)/python examples/demo.py

# While you work: what fails most often. No slow tests, and some cases of each large table: see tests/support/quick_lane.py.
check: style
	$(BIN)/python -m pytest -q -n 2 --dist worksteal --quick

# Everything. By files, because the blocks of a page of the docs follow each other.
test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# What other languages read of a stored file; `make test` runs those of them that are here already.
READINGS ?= 10000
readers: $(READY) build/readers/java/.ready examples/javascript/node_modules/.package-lock.json
	COLONNADE_READERS=all $(BIN)/python -m pytest -q tests/readers
	cd tests && ../$(BIN)/python -m readers.growing_files --readings $(READINGS)

# Arrow Java, as the pyspark package ships it: 15 of its jars, and nothing else of its 450 MB stays.
JARS := arrow commons-codec flatbuffers-java jackson-annotations jackson-core jackson-databind jackson-datatype-jsr310 \
	netty-buffer netty-common slf4j-api
build/readers/java/.ready: | $(READY)
	mkdir -p $(@D)
	$(BIN)/python -m pip download --quiet --no-deps --no-binary pyspark --dest $(@D) pyspark==4.3.0
	tar --extract --file $(@D)/pyspark-*.tar.gz --directory $(@D) --strip-components 3 --wildcards $(JARS:%='*/deps/jars/%-*.jar')
	rm $(@D)/pyspark-*.tar.gz
	touch $@

examples/javascript/node_modules/.package-lock.json: examples/javascript/package-lock.json
	npm ci --prefix examples/javascript --no-audit --no-fund
	touch $@

# The examples with PyTorch, which takes as long to install as all the rest; `make test` runs them where it is here already.
torch: $(VENV)/.torch
	COLONNADE_TORCH=wanted $(BIN)/python -m pytest -q tests/examples/test_torch_examples.py

$(VENV)/.torch: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group torch
	touch $@

# Tables in Dask and Ray, on two hosts of which one is a namespace; `make test` runs them where the engines are here already.
hosts: $(VENV)/.hosts
	COLONNADE_HOSTS=wanted $(BIN)/python -m pytest -q tests/hosts

$(VENV)/.hosts: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group hosts
	touch $@

# Kills at random for a minute, a hundred thousand puts, and kills and stops before every single system call.
PUTS  ?= 100000
KILLS ?= 2000
EVERY ?= 1
stress: $(READY)
	cd tests && ../$(BIN)/python -m stress.kills
	cd tests && ../$(BIN)/python -m stress.endure --puts $(PUTS)
	cd tests && ../$(BIN)/python -m stress.growing --kills $(KILLS)
	cd tests && ../$(BIN)/python -m growing.every_store --every $(EVERY)
	COLONNADE_EVERY_CALL=1 $(BIN)/python -m pytest -q tests/crash/test_every_call.py tests/concurrency/test_interleavings.py

# Kills before every single system call of a fetch from another host.
.PHONY: stress-fetch
stress-fetch: $(READY)
	COLONNADE_EVERY_CALL=1 $(BIN)/python -m pytest -q tests/crash/test_fetch_calls.py

# Every system call of every operation fails with every error, once and from then on: half an hour.
.PHONY: anomalies
anomalies: $(READY)
	cd tests && ../$(BIN)/python -m faults.test_anomalies
	cd tests && ../$(BIN)/python -m faults.test_allocations

# Every way to share a frame that we know of, each in an environment of its own: about 25 minutes on 2 idle cores once they are installed, 20 GB of memory.
# It writes benchmarks/results and draws the tables and plots of the pages.
bench-rivals: $(READY)
	$(BIN)/python -m benchmarks.compare --fresh --scaling --publish --rounds 4 --minutes 24

# Counts of work, against benchmarks/gates/baseline.json: instructions, system calls, page faults, allocations, bytes.
gates: $(READY)
	$(BIN)/python -m benchmarks.gates

bench: bench-share bench-convert bench-handoff bench-jobs

bench-share: $(READY)
	$(BIN)/python -m benchmarks.share

bench-convert: $(READY)
	$(BIN)/python -m benchmarks.convert --plot docs/conversions.svg
	$(BIN)/python -m benchmarks.conversion_grid --plot docs/conversion-grid.svg --page docs/performance.md

# A fetch from another host against Flight itself, over loopback; and one table to 2 to 64 hosts, which are namespaces (root).
bench-hosts: $(READY)
	$(BIN)/python -m benchmarks.hosts
	$(BIN)/python -m benchmarks.hosts --tls
	$(BIN)/python -m benchmarks.broadcast --plot docs/broadcast.svg

# Dask and Ray with Colonnade, against their own ways to pass a frame to workers of two hosts (root).
.PHONY: bench-engines
bench-engines: $(VENV)/.hosts
	$(BIN)/python -m benchmarks.dask_hosts
	$(BIN)/python -m benchmarks.ray_hosts

bench-append: $(READY)
	$(BIN)/python -m benchmarks.append
	$(BIN)/python -m benchmarks.growing_reads

bench-handoff: $(READY)
	$(BIN)/python -m benchmarks.handoff

bench-jobs: $(READY)
	$(BIN)/python -m benchmarks.jobs
	$(BIN)/python -m benchmarks.pools

# clang-tidy compiles each file of the core again (but the bindings), so the quick lane leaves it out.
lint: style
	$(BIN)/clang-tidy --quiet $(filter-out src/core/module.cpp src/core/bind_%.cpp,$(wildcard src/core/*.cpp)) -- -std=c++20 -Isrc/core -isystem src/vendor/xxhash

style: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell src tests docs benchmarks examples *.md Makefile
	$(BIN)/mypy
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/clang-format --dry-run --Werror src/core/*.h src/core/*.cpp tests/core/*.cpp

# Pages and stubs that are printed from the code.
docs: $(READY)
	$(BIN)/python docs/print_conversions.py > docs/conversions.md
	$(BIN)/python docs/print_notebooks.py
	$(BIN)/python docs/print_format.py > docs/format.new && mv docs/format.new docs/format.md

# The documentation site, in build/site. Its tools have an environment of their own, which sees the package in $(VENV).
.PHONY: site wheel-test
site: .venv-docs/.ready
	.venv-docs/bin/python -m sphinx -W --keep-going -q -b html docs build/site

.venv-docs/.ready: pyproject.toml | $(READY)
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip >= 25.1"
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --group docs
	$(BIN)/python -c 'import site; print(f"import site; site.addsitedir({site.getsitepackages()[0]!r})")' \
		> $$(.venv-docs/bin/python -c 'import site; print(site.getsitepackages()[0])')/package.pth
	touch $@

# Wheels for glibc 2.28 and an sdist, built, installed without a compiler on each Python of this machine, and tested.
wheel-test: | $(READY)
	$(BIN)/python packaging/wheel_test.py

stubs: $(READY)
	$(BIN)/python -m nanobind.stubgen -q -m colonnade._core -o src/colonnade/_core.pyi

# The core alone, free of Python, under each sanitizer.
sanitize: build/sanitize-address,undefined build/sanitize-thread build/sanitized-growing-address,undefined build/sanitized-growing-thread
	for program in $^; do echo $$program; $$program || exit 1; done

SANITIZED = $(CXX) -std=c++20 -g -O1 -fno-sanitize-recover=all -fsanitize=$* -Isrc/core -isystem src/vendor/xxhash -pthread -Wno-psabi
build/sanitized-growing-%: tests/core/stress_growing.cpp $(wildcard src/core/growing*)
	mkdir -p build
	$(SANITIZED) -o $@ $< src/core/growing.cpp src/core/growing_rows.cpp

build/sanitize-%: tests/core/stress.cpp $(wildcard src/core/*)
	mkdir -p build
	$(SANITIZED) -c -o $@-portable.o src/core/kernels.cpp
	if [ "$$(uname -m)" = x86_64 ]; then $(SANITIZED) -mavx2 -mbmi2 -c -o $@-avx2.o src/core/kernels.cpp; fi
	$(SANITIZED) $$([ "$$(uname -m)" = x86_64 ] && echo -DCOLONNADE_X86 $@-avx2.o) -o $@ $@-portable.o \
		tests/core/stress.cpp src/core/execute.cpp src/core/plan.cpp src/core/dispatch.cpp src/core/arrow_stream.cpp src/core/collapser.cpp src/core/descriptor.cpp src/core/hash.cpp src/core/key_index.cpp src/core/mapping.cpp src/core/pool.cpp

# The sharing protocol, every interleaving and every kill of it, and that its check finds what would break it.
model:
	$(PYTHON) docs/model/run.py

# The order of stores and loads of growing tables, under the memory models of C++ and of ARM. Relacy is a package of headers.
litmus: build/litmus
	build/litmus
	$(PYTHON) tests/litmus/arm.py

# The core's part of growing tables, built for ARM and run by QEMU: 64-bit loads and stores are ARM's, and so is what the compiler
# makes of their orders, which is looked for. That a processor moves them is seen nowhere but in `make litmus`: QEMU does not.
.PHONY: arm
arm: build/growing-aarch64
	$(PYTHON) tests/core/arm_orders.py $<
	qemu-aarch64 -L /usr/aarch64-linux-gnu $<

build/growing-aarch64: tests/core/stress_growing.cpp $(wildcard src/core/growing*)
	mkdir -p build
	which qemu-aarch64 aarch64-linux-gnu-g++ > /dev/null || { apt-get update -qq; apt-get install -y -qq qemu-user g++-aarch64-linux-gnu; } > /dev/null
	aarch64-linux-gnu-g++ -std=c++20 -O2 -static -Isrc/core -pthread -Wno-psabi -o $@ $< src/core/growing.cpp src/core/growing_rows.cpp

build/litmus: tests/litmus/growing.cpp
	mkdir -p build
	test -e /usr/include/relacy/relacy.hpp || { apt-get update -qq; apt-get install -y -qq relacy-dev; } > /dev/null
	$(CXX) -std=c++17 -O1 -w -pthread -o $@ $<

# Broken files, looked at by the reader. SEED and FILES can be given; a finding stays in tests/fuzz/findings.
SEED  ?= 1
FILES ?= 100000
fuzz: $(READY)
	$(BIN)/python tests/fuzz/mutate.py --files $(FILES) --seed $(SEED) --processes 2
	cd tests && $(abspath $(BIN))/python -m fuzz.growing --cases $$(($(FILES) / 100)) --seed $(SEED)

# The same, and the core is a build under ASan and UBSan; what ASan sees of NumPy's and PyArrow's memory it sees as well.
fuzz-sanitized: FILES := 10000
fuzz-sanitized: $(READY) build/sanitized-core/.ready
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096 \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	COLONNADE_FUZZ_CORE=$$(echo build/sanitized-core/_core*.so) \
	$(BIN)/python tests/fuzz/mutate.py --files $(FILES) --seed $(SEED) --processes 2 --patience 60

build/sanitized-core/.ready: $(READY) CMakeLists.txt $(wildcard src/core/*)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check cmake
	$(BIN)/cmake -S . -B build/sanitized-core -DSKBUILD_PROJECT_NAME=colonnade -DCMAKE_BUILD_TYPE=RelWithDebInfo \
		-DPython_EXECUTABLE=$(abspath $(BIN)/python) -Dnanobind_DIR=$$($(BIN)/python -m nanobind --cmake_dir) \
		-DCMAKE_CXX_FLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
	$(BIN)/cmake --build build/sanitized-core --parallel 2
	touch $@

# Guided by what of our code an input reaches. Atheris is wanted here alone.
SECONDS ?= 180
fuzz-atheris: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	mkdir -p build/atheris
	cd build/atheris && $(abspath $(BIN))/python $(abspath tests/fuzz/atheris_reader.py) -max_total_time=$(SECONDS) -max_len=65536 \
		-timeout=20 -rss_limit_mb=6144 -print_final_stats=1

$(READY): pyproject.toml CMakeLists.txt $(wildcard src/core/*)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "colonnade needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip >= 25.1"
	$(BIN)/python -m pip install --quiet --editable ".[polars,duckdb]" --group dev
	touch $@

clean:
	rm -rf $(VENV) .venv-* build examples/javascript/node_modules
