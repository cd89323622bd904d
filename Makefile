# make demo   run the main job on real data with the embedded default (ONCE=1: end by itself, exit 0 only if verified)
# make demo CLUSTER=3   the same against three nodes
# make test   install what is needed and run everything (about 12 minutes)
# make simulate SEEDS=100   whole nodes in one process under faults, on two engines (SEED=17 ENGINE=trio: replay one)
# make simulate NEW=1   seeds that nobody has run yet, those of this commit; make test runs some of them, and fails on a finding
# make evidence   longer runs: seeds, clients at full size, speed against Apache Kafka
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .make
# Some machines forbid it; each process of the tests would then compile all modules anew, a second and more.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test simulate evidence lint types install tools messages clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(STAMPS)/demo: pyproject.toml constraints.txt | $(BIN)/python
	@mkdir -p $(STAMPS)
	@echo "installing timesplit and the demo's packages into $(VENV)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[demo]'
	@touch $@

$(STAMPS)/all: pyproject.toml constraints.txt | $(BIN)/python
	@mkdir -p $(STAMPS)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all]'
	@touch $@ $(STAMPS)/demo

$(STAMPS)/tools: tests/install_tools.sh tests/clients/java/pom.xml
	@mkdir -p $(STAMPS)
	tests/install_tools.sh
	@touch $@

install: $(STAMPS)/all
tools: $(STAMPS)/tools

demo: $(STAMPS)/demo
	@$(BIN)/python -m timesplit.demo $(if $(ONCE),--once) $(if $(CLUSTER),--nodes $(CLUSTER))

lint: $(STAMPS)/all
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports --no-cache
	$(BIN)/basedpyright

test: lint $(STAMPS)/tools
	$(BIN)/python -m tests.simulation --new --no-ledger
	$(BIN)/pytest -m "not evidence" -p no:cacheprovider

evidence: $(STAMPS)/all $(STAMPS)/tools
	$(BIN)/pytest -m evidence -s -p no:cacheprovider
	$(BIN)/python -m benchmarks.against_kafka

simulate: $(STAMPS)/all
	$(BIN)/python -m tests.simulation --engine $(or $(ENGINE),both) $(if $(NEW),--new --for-s $(or $(FOR_S),600),$(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),100)) \
		--first $(or $(FIRST),0))

messages: $(STAMPS)/all
	$(BIN)/python -m gateway.wire.generate

clean:
	rm -rf $(STAMPS) $(VENV) dist build
