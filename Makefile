# Everything a newcomer runs. `make help` lists it.
#
# Only Python 3.11 or later and make are needed: all else comes from package registries, pinned by
# content in requirements.lock, into .venv in this folder.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
CAMPAIGNS := kill power-cut exactly-once disk outage bad-input subscribers connections native-door connectors
.PHONY: $(addprefix campaign-,$(CAMPAIGNS)) help setup demo test lint test-suite test-outside outside-programs bench sheets connectors lock format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything in it; quick when it is there already

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Kommunebro needs Python 3.11 or later. Install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv || { \
	  echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: setup ## a whole Kommunebro with sample municipalities on port 8080 (ARGS="--port 9000" for another)
	$(BIN)/kommunebro demo $(ARGS)

test: lint test-suite ## everything that needs no program of the operating system; real Kafka included

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy

# Brokers that live for minutes: compiling Java once and simply takes a third off their start, a tenth off the suite.
test-suite: export JDK_JAVA_OPTIONS ?= -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
test-suite: setup
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not outside" $(ARGS)

test-outside: setup outside-programs ## the tests with programs that no one here wrote: kcat, curl, docker-compose, promtool
	$(BIN)/pytest -m outside tests/outside $(ARGS)

# apt-get is asked only when something is missing.
outside-programs:
	@command -v kcat >/dev/null && command -v curl >/dev/null && command -v docker-compose >/dev/null && command -v promtool >/dev/null || { \
	  command -v apt-get >/dev/null || { echo "Install kcat, docker-compose and promtool (of Prometheus), then run this again." >&2; exit 1; }; \
	  as_root=$$(test "$$(id -u)" = 0 || echo sudo); \
	  $$as_root apt-get update -q && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends kcat docker-compose prometheus; }

bench: setup ## the table of figures in docs/performance.md (half an hour)
	$(BIN)/kommunebro bench all $(ARGS)

format: setup ## lay out the code, put imports in order and mend what ruff can mend by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

RESOLVE := .venv-lock/bin/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11

# The long campaigns of docs/reliability.md. Each prints its seed; a control must find the fault that it is a control of.
FAULTS := $(BIN)/python -m tests.faults

campaign-kill: setup ## G1: 1,000 kills of the gateway, and of the embedded log alone
	$(FAULTS).gateway.kill_embedded --times 1000
	$(FAULTS).embedded.kills --times 1000

campaign-power-cut: setup ## G2: 10,000 power cuts; then the control, which must lose something
	$(FAULTS).embedded.power_cuts --times 10000
	$(FAULTS).embedded.power_cuts --times 1500 --synchronous NORMAL

campaign-exactly-once: setup ## G3 on Kafka: kills, zombies, overlaps, broker kills; then the control, which must see duplicates
	$(FAULTS).kafka.kills --times 200
	$(FAULTS).kafka.zombies --times 50
	$(FAULTS).kafka.overlaps --times 50
	$(FAULTS).kafka.broker_kills --times 20
	! $(FAULTS).kafka.overlaps --times 50 --swapped

campaign-disk: setup ## G6: every write and every sync of a scenario fails once, and for good
	$(FAULTS).embedded.io_errors

campaign-outage: setup ## G7: the brokers are away for a minute, under load
	$(FAULTS).gateway.outage --seconds 60
	$(FAULTS).kafka.outage --times 3 --seconds 60

campaign-subscribers: setup ## G10 to G12: subscribers and gateways are killed, and Kafka is away, with streams open
	$(FAULTS).gateway.killed_subscriber --times 200
	$(FAULTS).gateway.killed_streams --streams 500 --times 10
	$(FAULTS).gateway.outage_with_streams --seconds 60

campaign-connections: setup ## G13: 10,000 connections that are left, and 200 clients that read a byte a second
	$(FAULTS).gateway.left_connections --connections 10000
	$(FAULTS).gateway.slow_readers --clients 200

campaign-bad-input: setup ## G9: 100,000 damaged requests; then 500 good and bad ones of each operation, by its description
	$(FAULTS).gateway.bad_input --requests 100000
	$(FAULTS).gateway.openapi --examples 500

campaign-native-door: setup ## a producer goes on writing to its mailbox through 30 kills of the gateway, and a minute without brokers
	$(FAULTS).gateway.native_door --kills 30
	$(FAULTS).gateway.native_door --outage-seconds 60

campaign-connectors: setup ## a connector is killed 1,000 times while it publishes; its gateway is away for a fortnight
	$(FAULTS).connectors.killed_connector --times 1000
	$(FAULTS).connectors.fortnight --events 100000

sheets: setup ## make examples/sheets and the tables in docs/sheets.md anew
	$(BIN)/python -m municipality_connectors.sheets.make_example_sheets

connectors: setup ## make the tables in docs/connector-file.md, and what is made in examples/connectors, anew
	$(BIN)/python -m municipality_connectors.connector_file.make_reference

lock: ## resolve the lock files anew: requirements.lock for work, deploy/requirements.lock for the image
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check uv
	echo 'setuptools>=80' | $(RESOLVE) --upgrade --extra test --output-file requirements.lock pyproject.toml -
	echo 'setuptools>=80' | $(RESOLVE) --no-annotate --constraint requirements.lock \
	  --output-file deploy/requirements.lock pyproject.toml -
	rm -rf .venv-lock

clean: ## remove .venv and what the tools left behind
	rm -rf .venv .venv-lock .pytest_cache .mypy_cache .ruff_cache .hypothesis kommunebro.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
