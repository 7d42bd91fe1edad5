# make run · make test · make bench · make docs; each sets up what it needs and works again when run a second time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := build
PEERS := $(BUILD)/peers
LOWEST := $(BUILD)/lowest
# Wheels of the lowest versions exist for the lowest Python.
LOWEST_PYTHON ?= $(shell command -v python3.11 || echo $(PYTHON))
CLIENTS := $(BUILD)/clients
VERIFIER := $(BUILD)/verifier
PARSERS := ccsdspy construct dissect.cstruct space_packet_parser duckdb polars
PLUGINS := plugins/hisparc plugins/cris plugins/sis
PROJECTS := core $(PLUGINS)
SOURCES := core/src plugins/hisparc/src plugins/cris/src plugins/sis/src
DAY := 1997-10-31

.DEFAULT_GOAL := help
.PHONY: help run test lint types prove lowest bench reference docs clients clean

help:
	@echo "make run    install into $(VENV), archive one sample day of each instrument and show the archive"
	@echo "make test   install into $(VENV) and run lint, types and all tests"
	@echo "make prove  run the long proofs too"
	@echo "make lowest install the lowest versions of all dependencies below $(LOWEST) and try them"
	@echo "make clients  get the verifier of HAPI and PySPEDAS, which tests use if they are there"
	@echo "make bench  measure, side by side with other programs"
	@echo "make reference  write the reference pages that come from the code"
	@echo "make docs   build the documentation into docs/_build"
	@echo "make clean  remove $(VENV) and everything built"

# The environment is set up again when a project file or a pinned version changes.
$(VENV)/ready: constraints.txt $(PROJECTS:%=%/pyproject.toml)
	@echo "== setting up $(VENV)"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c constraints.txt \
		-e "./core[all]" $(PLUGINS:%=-e ./%)
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	@echo "== installing what tests, lint, types and docs need"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		pytest pytest-xdist pytest-timeout hypothesis ruff mypy types-PyYAML pandas-stubs sphinx myst-parser furo \
		duckdb h5py netCDF4 xarray astropy
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hisparc-sapphire \
		|| echo "hisparc-sapphire cannot be installed here; the test of HiSPARC's own readers will be skipped"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uwsgi \
		|| echo "uwsgi cannot be installed here; the test of the receiver under it will be skipped"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt ccsdspy space_packet_parser \
		|| echo "ccsdspy or space_packet_parser cannot be installed here; comparisons with them will be skipped"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hapiclient \
		|| echo "hapiclient cannot be installed here; its test will be skipped"
	@touch $@

run: $(VENV)/ready
	@echo "== making one sample day for each instrument below $(BUILD)/sample"
	$(BIN)/dayfile simulate hisparc --day $(DAY) --out $(BUILD)/sample/hisparc
	$(BIN)/dayfile simulate cris --day $(DAY) --out $(BUILD)/sample/cris
	$(BIN)/dayfile simulate sis --day $(DAY) --out $(BUILD)/sample/sis
	@echo "== archiving them"
	$(BIN)/archive-run $(BUILD)/sample --plugins hisparc,cris,sis --set hisparc.cutoff_year=1997 \
		--archive $(BUILD)/archive
	@echo "== what the archive holds"
	$(BIN)/dayfile ls --archive $(BUILD)/archive
	$(BIN)/dayfile show cris.high_priority_rates --archive $(BUILD)/archive --from $(DAY)T12:00 --rows 5

test: lint types
	@echo "== tests"
	$(BIN)/python -m pytest -n 2 -m "not proof"

lint: $(VENV)/ready-dev
	@echo "== lint"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready-dev
	@echo "== types"
	$(BIN)/mypy $(SOURCES)

prove: $(VENV)/ready-dev
	@echo "== tests and long proofs"
	$(BIN)/python -m pytest -n 2 --timeout 3600

# The lower bounds of the project files hold: what they allow is installed and tried, in an environment of its own.
lowest:
	@echo "== trying the lowest versions of all dependencies in $(LOWEST)"
	rm -rf $(LOWEST)
	$(LOWEST_PYTHON) -m venv $(LOWEST)/venv
	$(LOWEST)/venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt hatchling
	$(LOWEST)/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
		-c constraints-lowest.txt "./core[all]" $(PLUGINS:%=./%)
	$(LOWEST)/venv/bin/python -m pip check
	$(LOWEST)/venv/bin/python tests/lowest/smoke.py $(LOWEST)/trial

# What is measured beside ours comes from pip, into an environment of its own; where pip cannot get it, the rest runs.
$(PEERS)/ready: benchmarks/constraints.txt
	@echo "== setting up $(PEERS)"
	$(PYTHON) -m venv --clear $(PEERS)
	@missing=; for parser in $(PARSERS); do \
		$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c benchmarks/constraints.txt $$parser \
		|| missing="$$missing $$parser"; done; \
	npm install --prefix $(PEERS) --ignore-scripts --no-audit --no-fund --silent kaitai-struct-compiler@0.11.0 \
		&& $(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -c benchmarks/constraints.txt kaitaistruct \
		|| missing="$$missing kaitaistruct"; \
	if [ -z "$$missing" ]; then touch $@; else echo "cannot be installed here, their rows will say so:$$missing"; fi

# Other programs that read by HAPI: PySPEDAS from pip, the verifier from its repository and npm. Each that cannot be had
# here is named, and its test is skipped.
clients: $(CLIENTS)/ready $(VERIFIER)/ready

$(CLIENTS)/ready: benchmarks/constraints.txt
	@echo "== setting up $(CLIENTS)"
	@rm -rf $(CLIENTS)
	@$(PYTHON) -m venv $(CLIENTS)
	@if $(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check pyspedas; then touch $@; \
		else rm -rf $(CLIENTS); echo "PySPEDAS cannot be installed here; its test will be skipped"; fi

$(VERIFIER)/ready:
	@echo "== setting up $(VERIFIER)"
	@rm -rf $(VERIFIER)
	@if GIT_TERMINAL_PROMPT=0 timeout 120 git clone --quiet --depth 1 --recurse-submodules --shallow-submodules \
		https://github.com/hapi-server/verifier-nodejs $(VERIFIER) \
		&& cd $(VERIFIER) && timeout 600 npm install --ignore-scripts --no-audit --no-fund --silent; \
		then touch ready; else rm -rf $(VERIFIER); \
		echo "the verifier of HAPI cannot be had here (git, node and npm are needed); its test will be skipped"; fi

bench: $(VENV)/ready $(PEERS)/ready
	$(BIN)/python -m benchmarks --peers $(PEERS)/bin/python --json $(BUILD)/benchmarks.json

# These pages are in the checkout; a test fails when they are not what the code says.
reference: $(VENV)/ready-dev
	$(BIN)/python docs/from_code.py

docs: $(VENV)/ready-dev
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build

clean:
	rm -rf $(VENV) $(BUILD) docs/_build
