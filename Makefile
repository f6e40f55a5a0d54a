# make run    start the exporter on its demo PBX; more flags by ARGS="--log.level debug"
# make test   everything CI checks; as root on Debian with real Asterisks too
# make fuzz   look for bytes of a PBX that harm the exporter, for FUZZ_SECONDS=60 or ARGS=-runs=10000
# make storm  30 s of 50,000 events a second, then every counter against the truth; ARGS="--seconds 60"
# make crowd  200 PBXs and three that are a nuisance, for a minute; PBXS=200, ARGS="--seconds 60"
# make soak   HOURS=24 simulated hours of faxes and faults, SEED=1, then every counter against the truth
# make mutants  break the code in small ways, list what no test notices; MUTANTS="'exporter.ledger.*'"
# make bench  what a poll and a scrape cost, against the bytes alone; ARGS="polls scrapes"
# make dashboards  write grafana/dashboards/ anew from the code beside it
# make docs   write docs/metrics.md anew from the metrics
# make manual  write the man page and the shell completions anew from the flags
# make pictures  draw the dashboards into docs/, from MINUTES=20 of faxes on real Asterisks
# make clean  remove what these made in this directory

SHELL := /bin/sh
ARGS ?=
FUZZ_SECONDS ?= 60
HOURS ?= 24
PBXS ?= 200
MINUTES ?= 20
SEED ?= 1
MUTANTS ?= 'exporter.ledger.*' 'exporter.fax.*may_ask*'
# Faxes mostly wait for the line, so there are several of these on each core.
PBX_WORKERS ?= 6
export PATH := $(PATH):/usr/sbin:/sbin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable

define NO_ATHERIS
import platform as p
print("Not installed. Atheris has wheels for CPython 3.11 to 3.14 on Linux, x86_64, glibc; this is", \
p.python_implementation(), p.python_version(), "on", p.system(), p.machine(), *p.libc_ver())
endef
export NO_ATHERIS

.DELETE_ON_ERROR:
.PHONY: run test fuzz storm crowd soak bench dashboards docs manual pictures clean python

run: $(VENV)/installed
	exec $(BIN)/asterisk-fax-exporter --demo $(ARGS)

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest --ignore tests/pbx --numprocesses 2
	@missing=; \
	command -v debootstrap >/dev/null || missing="$$missing debootstrap"; \
	command -v promtool >/dev/null || missing="$$missing prometheus"; \
	command -v prometheus-alertmanager >/dev/null || missing="$$missing prometheus-alertmanager"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v buildah >/dev/null || missing="$$missing buildah"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Some tests are skipped; for them: apt-get install --no-install-recommends$$missing"; \
	fi
	$(BIN)/python -m pytest tests/pbx --numprocesses $(PBX_WORKERS) --dist worksteal

fuzz: $(VENV)/installed-fuzz
	$(BIN)/python -m fuzz.ami -max_total_time=$(FUZZ_SECONDS) $(ARGS)

storm: $(VENV)/installed-test
	$(BIN)/python -m tests.trials.storm $(ARGS)

crowd: $(VENV)/installed-test
	$(BIN)/python -m tests.trials.crowd --pbxs $(PBXS) $(ARGS)

bench: $(VENV)/installed-test
	$(BIN)/python -m bench $(ARGS)

.PHONY: mutants
mutants: $(VENV)/installed-mutation ## break the code in small ways, list what no test notices; MUTANTS="'exporter.ledger.readings.*'"
	$(BIN)/mutmut run $(MUTANTS)
	$(BIN)/mutmut results

dashboards: $(VENV)/installed-test
	$(BIN)/python -m grafana

docs: $(VENV)/installed-test
	$(BIN)/python -m docs.metrics

manual: $(VENV)/installed-test
	$(BIN)/python -m tests.manual

pictures: $(VENV)/installed-test
	$(BIN)/python -m tests.pbx.pictures --minutes $(MINUTES)

soak: $(VENV)/installed-test
	$(BIN)/python -m tests.trials.soak --hours $(HOURS) --seed $(SEED)

clean:
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf mutants
	find bench docs exporter fuzz grafana harness tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The install is editable, so only what is named here makes another one due.
$(VENV)/installed: pyproject.toml constraints.txt $(BIN)/python
	$(INSTALL) .
	@touch $@

$(VENV)/installed-test: pyproject.toml constraints.txt $(BIN)/python
	$(INSTALL) '.[test]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-mutation: pyproject.toml constraints.txt $(BIN)/python
	$(INSTALL) '.[test,mutation]'
	@touch $@ $(VENV)/installed $(VENV)/installed-test

$(VENV)/installed-fuzz: pyproject.toml constraints.txt $(BIN)/python
	$(INSTALL) '.[fuzz]' --only-binary atheris || { $(BIN)/python -c "$$NO_ATHERIS" >&2; exit 1; }
	@touch $@ $(VENV)/installed

$(BIN)/python:
	@python=$$($(MAKE) --no-print-directory --silent python) || exit 1; \
	echo "$$python -m venv $(VENV)"; \
	"$$python" -m venv --clear $(VENV)

# Say which Python makes the environment: the first that really is one, and can. (A name on the
# PATH is not enough: version managers leave names there that run nothing.)
python:
	@found=; \
	for python in $${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null </dev/null || continue; \
		found=$$python; \
		if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then echo "$$python"; exit 0; fi; \
	done; \
	if [ -n "$$found" ]; then \
		echo "$$found has no venv module; on Debian: apt-get install python3-venv" >&2; \
	else \
		echo "Python 3.11 or newer is needed (tried $${PYTHON:-python3.14 to python3.11, python3}); PYTHON=/path/to/python3 names one" >&2; \
	fi; \
	exit 1
