# Two commands set everything up on a machine with Python 3.11: `make train` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: train core venv test long check curve study headroom recording suite stream transfer live bench chaos server clean

train: core
	$(BIN)/metabalance train --preset quick

# What training and studies need; `venv` has what checks, tests and benchmarks need, too.
core: $(VENV)/.core

$(VENV)/.core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

venv: $(VENV)/.installed

$(VENV)/.installed: $(VENV)/.core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

check: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One process of tests more than there are cores: many wait for a server or a balancer.
test: check
	$(BIN)/pytest --numprocesses $$(( $$(nproc) + 1 ))

# What takes minutes, and is in `make test` in a smaller form.
long: venv
	$(BIN)/pytest -m long

# How the lower agent follows its context: trains the default preset and draws its curve.
curve: core
	$(BIN)/metabalance train-lower --preset default --out runs/out/default
	$(BIN)/metabalance study steering runs/out/default

# The whole study: ten training seeds, all arms, held-out worlds, another objective, scenarios, the front, and one page of it
# all; the stream experiment and transfer before. TRACE=FILE adds a recording of requests as held-out world and as scenario.
STUDY := runs/out/study
TRACED := $(if $(TRACE),--trace $(TRACE))
study: core stream transfer
	$(BIN)/metabalance ablate --preset default --seeds 10 --ablation.oracles true --ablation.tuned_static true --ablation.flat true \
		--out $(STUDY)
	$(BIN)/metabalance study held_out $(STUDY) $(TRACED)
	$(BIN)/metabalance study front $(STUDY)
	$(BIN)/metabalance study adaptation $(STUDY)
	$(BIN)/metabalance study scenarios $(STUDY) $(TRACED)
	$(BIN)/metabalance report $(STUDY)

# What a planner with foresight gains over the best rule and the best fixed mix, on ten training seeds apart from the study's.
ROOM := runs/out/headroom
headroom: core
	$(BIN)/metabalance ablate --preset default --seed 100 --seeds 10 --out $(ROOM)
	$(BIN)/metabalance study headroom $(ROOM)

# Agents and rules on a recording, TRACE=FILE: the first part of it trains, the rest evaluates; then what is to be gained there.
RECORDED := runs/out/recording-$(basename $(notdir $(TRACE)))
recording: core
	$(BIN)/metabalance ablate --preset recording --seeds 3 --env.workload.arrivals trace \
		--env.workload.arrivals.path $(TRACE) --out $(RECORDED)
	$(BIN)/metabalance study headroom $(RECORDED)

# All arms, trained and tuned in eight worlds under three objectives, three training seeds each; TRACE=FILE adds a recording as
# one more world. What is finished is kept.
SUITE := runs/out/suite
suite: core
	$(BIN)/metabalance study suite $(SUITE) $(TRACED)

# The published stream experiment over ten training seeds: one choice, all choices, and its extended form.
STREAM := runs/out/spark
stream: core
	$(BIN)/metabalance ablate --preset spark --seeds 10 --out $(STREAM)
	$(BIN)/metabalance ablate --preset spark --seeds 10 --env.actions all --out $(STREAM)-all
	$(BIN)/metabalance ablate --preset spark --seeds 10 --env.actions all --env.form extended --out $(STREAM)-extended
	for out in $(STREAM) $(STREAM)-all $(STREAM)-extended; do $(BIN)/metabalance report $$out || exit 1; done

# Agents trained on four servers, met on six and on twelve.
transfer: core
	$(BIN)/metabalance study transfer runs/out/transfer

# A pair before a real HAProxy (haproxy must be installed): trained, and compared with rules on real servers of which one slows down.
LIVE := runs/out/haproxy
live: core
	$(BIN)/metabalance train --preset haproxy --out $(LIVE)
	$(BIN)/metabalance testbed --bundle $(LIVE) --compare static,leastconn,autoscale_class,learned,gated --runs 5 --seconds 80 \
		--fault 40:slow:1:0.333

# Every benchmark, in about forty minutes on two cores with nothing else to do; draws scaling curves.
bench: venv
	for name in world lower upper end-to-end checkpoints tracking serve live fidelity; do $(BIN)/metabalance bench $$name || exit 1; done

# Twenty experiments, each killed at a random moment and resumed: all end bit for bit as one that is let be. A quarter of an hour.
chaos: venv
	$(BIN)/python -m tests.chaos --kills 20

# MLflow for several people, over a PostgreSQL of its own in SERVER; WITH has options, as in WITH='--port 8080'. docs/server.md
SERVER := runs/out/server
server: $(VENV)/.server
	$(BIN)/metabalance server start $(SERVER) $(WITH)

$(VENV)/.server: $(VENV)/.core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[server]'
	touch $@

# What a server keeps in runs/out/server is not ours to remove.
clean:
	test ! -d runs/out || find runs/out -mindepth 1 -maxdepth 1 ! -name server -exec rm -rf {} +
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find envs -name 'numba-*' -type d -prune -exec rm -rf {} +
