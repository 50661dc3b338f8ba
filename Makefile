# Every target sets up what it needs; a second run does no set-up work.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name))))
VENV := .venv
PY := $(VENV)/bin/python
TORCH ?= 1
QUIX ?= 1
RAY ?= 1
READY := $(VENV)/.ready
READY_TORCH := $(VENV)/.ready-torch
READY_RAY := $(VENV)/.ready-ray
VENV_QUIX := build/venv-quix
READY_QUIX := $(VENV_QUIX)/.ready
READY_NOTEBOOKS := $(VENV)/.ready-notebooks
READY_FUZZ := $(VENV)/.ready-fuzz
TEST_READY := $(READY) $(if $(filter 1,$(TORCH)),$(READY_TORCH))
SLOW_READY := $(TEST_READY) $(READY_NOTEBOOKS) $(if $(filter 1,$(QUIX)),$(READY_QUIX)) $(if $(filter 1,$(RAY)),$(READY_RAY))
# Many tests wait for a broker: on two cores a third process does the work of others meanwhile.
PROCESSES ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 3 ? 3 : cores)))
PYTEST = $(PY) -m pytest -q -n $(PROCESSES) --maxprocesses 4 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder
KERNELS ?= $(MAKE) kernels
# Four of five files have none of the slow tests, and to read them takes each process half a minute.
SLOW = $(shell grep -rl --include='test_*.py' 'mark.slow' tests)
ROOTS := app operators topics state replay gpu_sink schemas distribution tests

# Told to write no bytecode, as in many containers, each of our processes would compile all that it imports, a second each.
ifneq ($(PYTHONDONTWRITEBYTECODE),)
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/build/pycache
endif

DATE ?=
DATA ?=
BUS ?=
SPEED ?=
BOOTSTRAP ?=
OUT ?=
SEED ?=
SEEDS ?= 1000
FIRST ?= 0
ARGS ?=
FILES ?=
MESSAGES ?= 10000000
CASES ?= 1000000
MINUTES ?= 1
SECONDS ?= 10
DAYS ?= 30
TARGET ?=
FAULT ?=
OLD ?=
FEATURES ?=
CONFIG ?=
# Every variable of `make replay` is a flag of `python -m app replay`; an empty one keeps the flag's default.
flag = $(if $($(1)),--$(2) '$($(1))')
REPLAY_FLAGS = $(call flag,DATE,date) $(call flag,CONFIG,config) $(call flag,DATA,data) $(call flag,BUS,bus) $(call flag,SPEED,speed) \
	$(call flag,BOOTSTRAP,bootstrap) $(call flag,OUT,out) $(call flag,PARTITIONS,partitions) \
	$(call flag,WORKERS,workers) $(call flag,SHAPE,shape) $(call flag,CLOCK,clock) $(call flag,CARRY,carry) \
	$(call flag,TOLERANCE,tolerance) $(call flag,TOLERANCE_NS,tolerance-ns) $(call flag,GRACE,grace) $(call flag,GRACE_NS,grace-ns) $(call flag,STORE,store) \
	$(call flag,FEATURE,feature) $(ARGS)
# What was typed beside the target: make itself takes any name, and a misspelt one would do nothing.
TYPED = $(sort $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name))))
IMPORT_FLAGS = $(call flag,EVENT,event) $(call flag,KNOWN,known) $(call flag,SYMBOL,symbol) $(call flag,TIMEZONE,timezone) \
	$(call flag,NAIVE_AS,naive-as) $(call flag,UNIT,unit)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

$(READY): requirements.lock
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer on PATH: install one, or say PYTHON=/its/path"; exit 2; }
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"{sys.executable} is Python {sys.version.split()[0]}; 3.11 or newer is needed: say PYTHON=/its/path")'
	echo "setting up $(VENV) from requirements.lock (once)"
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	.ci/install requirements.lock
	touch $@

$(READY_TORCH): requirements-torch.lock $(READY)
	@echo "installing PyTorch with its CUDA libraries (4.6 GB on disk, once; TORCH=0 leaves it out)"
	.ci/install requirements-torch.lock
	touch $@

$(READY_RAY): requirements-ray.lock $(READY)
	@echo "installing Ray, for backtest --ray (200 MB on disk, once; RAY=0 leaves it out)"
	.ci/install requirements-ray.lock
	touch $@

$(READY_NOTEBOOKS): requirements-notebooks.lock $(READY)
	@echo "installing what executes notebooks (once)"
	.ci/install requirements-notebooks.lock
	touch $@

$(READY_FUZZ): requirements-fuzz.lock $(READY)
	@.ci/install requirements-fuzz.lock
	touch $@

# Quix Streams, a rival in the benchmark with adapters of ours, holds the Kafka client back: it has its own place.
$(READY_QUIX): requirements-quix.lock $(READY)
	@echo "setting up $(VENV_QUIX) for Quix Streams (once; QUIX=0 leaves it out)"
	test -x $(VENV_QUIX)/bin/python || $(PYTHON) -m venv $(VENV_QUIX)
	VENV=$(VENV_QUIX) .ci/install requirements-quix.lock
	touch $@

sync: $(READY) ## set up .venv from requirements.lock

ray: $(READY_RAY) ## set up Ray beside the rest, for backtest --ray

lock: $(READY) ## resolve the dependency groups into the lock files again
	@$(PY) -m uv pip compile --quiet pyproject.toml --group app --group dev --group docs --group ui --group calendar --group dbn --generate-hashes --no-header --universal --python-version 3.11 -o requirements.lock
	$(PY) -m uv pip compile --quiet pyproject.toml --group torch -c requirements.lock --generate-hashes --no-header --universal --python-version 3.11 -o requirements-torch.lock
	$(PY) -m uv pip compile --quiet pyproject.toml --group models -c requirements.lock --generate-hashes --no-header --universal --python-version 3.11 -o requirements-models.lock
	$(PY) -m uv pip compile --quiet pyproject.toml --group ray -c requirements.lock --generate-hashes --no-header --universal --python-version 3.11 -o requirements-ray.lock
	$(PY) -m uv pip compile --quiet pyproject.toml --group docs --group notebooks -c requirements.lock --generate-hashes --no-header --universal --python-version 3.11 -o requirements-notebooks.lock
	$(PY) -m uv pip compile --quiet pyproject.toml --group fuzz -c requirements.lock --generate-hashes --no-header --universal --python-version 3.11 -o requirements-fuzz.lock
	$(PY) -m uv pip compile --quiet pyproject.toml --group app --group ui --group dev --group docs --group quix --generate-hashes --no-header --universal --python-version 3.11 -o requirements-quix.lock

fmt: $(READY) ## format the code
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .

lint: $(READY) ## style and common mistakes
	@$(VENV)/bin/ruff format --check . && $(VENV)/bin/ruff check .

# The type that mypy finds for several joined ones hangs on the order of sets: the seed makes it the same everywhere.
type: $(READY) ## mypy, strict, the whole tree
	@PYTHONHASHSEED=0 $(VENV)/bin/mypy $(ROOTS)

layers: $(READY) ## who may import whom
	@$(VENV)/bin/lint-imports

tidy: $(READY) ## file and function length, words, set-up rules
	@$(PY) -m pytest -q tests/tidy

test: $(TEST_READY) ## the tests but the slow ones, on up to 4 cores; starts a real Kafka where Java and Maven are present (TORCH=0 leaves PyTorch out)
	@$(KERNELS)
	$(PYTEST) -m 'not slow' $(ARGS)

# What is slow waits for brokers more than it computes: one process more.
test-slow: PROCESSES := $(shell echo $$(($(PROCESSES) + 1)))
test-slow: $(SLOW_READY) ## what takes longest: every command of the pages, faults on a real Kafka, days of real data, the wheels
	@$(KERNELS)
	$(PYTEST) -m 'slow and not long' $(or $(ARGS),$(SLOW))

test-long: $(TEST_READY) ## what takes minutes each: whole days of LEAN on a real Kafka, killed workers, many more stories of captures
	@$(KERNELS)
	$(PYTEST) -m long $(or $(ARGS),$(SLOW))

kernels: $(READY) ## compile the kernels of graphs, which each test process would compile for itself
	@$(PY) -m operators.nodes.warm
	pids=; for part in "nodes.warm squares shapes" "nodes.warm pairs totals order" "graph.warm bars" \
		"nodes.warm windows events sessions recursions fillings models" "graph.warm label"; do \
		$(PY) -m operators.$$part & pids="$$pids $$!"; done; for pid in $$pids; do wait $$pid || exit 1; done

simulate: $(READY) ## seeded whole runs: make simulate SEEDS=1000 [FIRST=5000], one of them again: SEED=7
	@$(PY) -m tests.simulation.test_runs --seeds $(SEEDS) --first $(FIRST) $(call flag,SEED,seed)

leak: $(READY) ## read many messages natively and see memory stay flat: make leak MESSAGES=10000000
	@$(PY) -m tests.broker.test_kafka_native $(MESSAGES)

fuzz: $(READY) ## hostile messages against guard pages and fastavro: make fuzz CASES=1000000
	@$(PY) -m tests.property.topics.test_guarded_bytes $(CASES)

fuzz-covered: $(READY_FUZZ) ## fuzzing that follows coverage: make fuzz-covered SECONDS=600 [TARGET=frames] (metadata, letters, settings, formula, query)
	@for target in $(or $(TARGET),frames metadata letters settings formula query); do $(PY) -m tests.fuzz $$target --seconds $(SECONDS) || exit 1; done

test-bounds: $(READY) ## kernel tests with every array index checked
	@NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=build/numba-bounds $(PY) -m pytest -q tests/unit/operators tests/laws/join tests/unit/topics tests/property $(ARGS)

test-nojit: $(READY) ## kernel tests as plain Python
	@NUMBA_DISABLE_JIT=1 $(PY) -m pytest -q tests/unit/operators tests/laws/join tests/property $(ARGS)

chaos: $(READY) ## play every fault F1-F25 on a real Kafka, again and again: make chaos MINUTES=5 (FAULT=F7, FEATURES=0 without a graph)
	@$(PY) -m tests.broker.chaos $(MINUTES) $(or $(FEATURES),30) $(FAULT)

storm: $(READY) ## time restarts, then kill and stop workers and brokers under 20,000 rows/s: make storm MINUTES=30 SEED=1
	@$(PY) -m tests.broker.chaos.storm $(MINUTES) $(or $(SEED),1) $(ARGS)

captured: $(READY) ## kill, replace and starve captures under 20,000 rows/s: each row is there once: make captured SECONDS=600
	@$(PY) -m tests.broker.chaos.storm.captured $(SECONDS)

month: $(READY) ## 30 days as a capture leaves them: memory of reading, and what compaction saves a query: make month DAYS=30
	@$(PY) -m tests.stage.history_month $(DAYS)

storm-versions: $(READY) ## the same storm over a group of two versions, every other worker of an earlier commit: make storm-versions OLD=HEAD~20 MINUTES=3
	@$(PY) -m tests.broker.chaos.storm.versions $(or $(OLD),HEAD~1) $(MINUTES) $(or $(SEED),1)

storm-alerts: $(READY) ## half an hour of incidents under a real Prometheus: each has its alert, and nothing else fires: make storm-alerts SECONDS=1800
	@$(PY) -m tests.broker.chaos.storm.alerts $(if $(filter command,$(firstword $(origin SECONDS))),$(SECONDS),1800) $(or $(SEED),1)

test-planted: $(READY) ## plant a fault of every kind in a graph and in splits: each must be named for what it is
	@$(PY) -m pytest -q tests/unit/app/graph tests/unit/gpu_sink/samples -k planted $(ARGS)

change: $(READY) ## change a graph under 20,000 rows/s: new features have their past, the others every bit: make change SECONDS=60
	@$(PY) -m tests.broker.chaos.storm.changed $(SECONDS)

mutate: $(READY) ## change each comparison that decides what is sealed: some test must fail (FILES=operators/join/sealer.py)
	@$(PY) -m tests.mutation $(FILES)

check: ## everything CI runs
	@$(MAKE) -j 4 --output-sync=target prepared
	KERNELS=: $(MAKE) test test-slow

# One core compiles or installs while another reads the code.
prepared: lint type layers kernels $(SLOW_READY) ## what CI does before the tests: read the code, compile kernels, install PyTorch

bench: $(SLOW_READY) ## tables, JSON and plots under build/bench/
	@$(PY) -m tests.bench $(ARGS)

kafka: $(READY) ## start a real one-node Kafka on loopback and print its host:port (PORT= forces one)
	@docker/kafka/kafka.sh start

kafka-stop: ## stop it; its log stays under build/kafka
	@docker/kafka/kafka.sh stop

up: ## the same with Docker: broker and worker from docker/compose.yaml
	@docker compose -f docker/compose.yaml up --build

# Maven fetches the broker while the packages come; where nothing is to be fetched, that takes no time.
replay: ## one day end to end, or several, DATE=a..b: make replay DATE=2024-01-15 [DATA=folder CONFIG=file BUS=kafka|embedded SPEED=max|1|10 OUT=folder]
	@$(if $(BOOTSTRAP)$(filter embedded,$(BUS)),,docker/kafka/kafka.sh fetch >/dev/null 2>&1 </dev/null &)
	$(MAKE) -s $(READY)
	$(PY) -m app replay --from-make '$(TYPED)' $(REPLAY_FLAGS) $(IMPORT_FLAGS)

docs: $(READY_NOTEBOOKS) ## build the site of the pages under build/site, notebooks executed
	@$(PY) -c 'import sys; from pathlib import Path; from distribution.site import build_site; sys.exit(build_site(Path("build/site")))'

wheel: $(READY) ## build two wheels under build/wheel: tidemark, and the client gpu_sink alone
	@$(PY) -m build --wheel --no-isolation --outdir build/wheel .
	$(PY) -m distribution --out build/wheel

dist: $(READY) ## build an archive under build/dist that installs without a network, with a bill of materials and all licences
	@$(PY) -m distribution.archive

tutorial: dist ## type the tutorial out of that archive in an empty folder without a network, and time it
	@$(PY) -m tests.docs.tutorial "$$(ls -t build/dist/*.tar.gz | head -n 1)"

clean: ## remove build/ but keep the set-up
	@docker/kafka/kafka.sh stop; rm -rf build

.PHONY: help sync ray lock fmt lint type layers tidy test test-slow test-long kernels simulate chaos storm storm-versions storm-alerts leak fuzz fuzz-covered test-bounds test-nojit test-planted captured month change mutate check prepared bench kafka kafka-stop up replay docs wheel dist tutorial clean
