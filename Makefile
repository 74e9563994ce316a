# Two commands for a machine that has only Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: soak demo test test-nights test-all lint audit format bench bench-peers sizing clean

demo: .venv/ready
	$(BIN)/lamplighter demo

test: .venv/ready
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "not nights and not slow and not benchmark"

# What takes whole nights, many at once: five minutes more.
test-nights: .venv/ready
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "nights and not slow and not benchmark"

test-all: .venv/ready
	$(BIN)/python -m pytest -m "not benchmark"

bench: .venv/ready
	$(BIN)/python -m pytest -m benchmark -s

# Options go into PEERS: make bench-peers PEERS=--quick. docs/benchmarks.md lists them.
bench-peers: .venv/ready
	$(BIN)/python tests/benchmarks/peers/bench_peers.py $(PEERS)

# What a night takes by the size of its world: the table of docs/operations.md.
sizing: .venv/ready
	$(BIN)/python tests/benchmarks/sizing.py

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python .ci/audit

# Known vulnerabilities of what is installed; says that it was skipped where no advisories can be asked for.
audit: .venv/ready
	$(BIN)/python .ci/audit

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Made anew when what is to be installed changes, and only then.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,demo]"
	touch $@

# Thirty nights on a live server with the cause of every alert: about a quarter of an hour on a quiet machine.
soak: .venv/ready
	$(BIN)/python tests/benchmarks/soak/soak.py

clean:
	rm -rf .venv .venv-peers lake
