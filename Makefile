# `make` alone lists what there is. What stands behind ## is that list.

SHELL := /bin/sh
ARGS ?=
FUZZ_SECONDS ?= 60
HOURS ?= 24
PBXS ?= 200
SEED ?= 1
MUTANTS ?= 'exporter.ledger.*' 'exporter.ami.stream.*' 'exporter.fax.*may_ask*'
# Faxes mostly wait for the line, so there are several of these on each core.
PBX_WORKERS ?= 6
# What .ci/go-tools and .ci/npm-tools have put there is found.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/asterisk-fax-exporter/bin
export PATH := $(PATH):/usr/sbin:/sbin:$(TOOLS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := .venv
BIN := $(VENV)/bin
# Every file that is installed is one whose hash is in a lock. `.` has none: it is this tree, and built
# by what the lock has installed.
INSTALL := $(BIN)/python -m pip install --quiet
LOCKED := $(INSTALL) --require-hashes --requirement
TREE := $(INSTALL) --no-deps --no-build-isolation --editable .
# Of the newest packages that go with those of the tests, those that a lock had already if it can.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make locks' $(ARGS)

define NO_ATHERIS
import platform as p
print("Not installed. Atheris has wheels for CPython 3.11 to 3.14 on Linux, x86_64, glibc; this is", \
p.python_implementation(), p.python_version(), "on", p.system(), p.machine(), *p.libc_ver())
endef
export NO_ATHERIS

.DELETE_ON_ERROR:
.PHONY: help run check test fuzz storm crowd cut siege soak mutants bench docs dashboards rules scenarios locks digests sbom packages clean python before-test

help:
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 17

run: $(VENV)/installed ## the exporter on a demo PBX, no Asterisk needed; more flags by ARGS="--log.level debug"
	@exec $(BIN)/asterisk-fax-exporter --demo $(ARGS)

check: $(VENV)/installed-test ## while you work: style, types, imports and the fast tests, a minute or so
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest --ignore tests/pbx -m "not slow" --numprocesses 2 --quiet

test: before-test $(VENV)/installed-test ## everything CI checks; as root on Debian with real Asterisks too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest --ignore tests/pbx --numprocesses 2
	$(BIN)/python -m pytest tests/pbx --numprocesses $(PBX_WORKERS) --dist worksteal

before-test:
	@echo "On two cores: a minute for style and types, 18 minutes for the tests without an Asterisk,"
	@if [ "$$(id -u)" = 0 ]; then \
		echo "and 13 minutes for those with real ones: a fax takes its time. The first run also builds"; \
		echo "small Debian trees with an Asterisk under ~/.cache/asterisk-fax-exporter."; \
	else \
		echo "and none for those with real ones, which need root on Debian and are skipped."; \
	fi
	@missing=$$(.ci/missing | tr '\n' ' '); \
	if [ -n "$$missing" ]; then \
		echo "Some tests are skipped; for them, on Debian: apt-get install --no-install-recommends $$missing"; \
	fi
	@missing=; \
	for tool in alloy-config helm kubeconform pint; do \
		command -v $$tool >/dev/null || missing="$$missing $$tool"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "Some tests are skipped for want of$$missing; where Go is: .ci/go-tools $(TOOLS)"; \
	fi
	@ls dist/*.deb >/dev/null 2>&1 || echo "Some tests are skipped for want of packages: make packages"
	@command -v grafana-tsc >/dev/null && command -v grafana-logql >/dev/null || \
		echo "Some tests are skipped for want of Grafana's types and grammar; where npm is: .ci/npm-tools $(TOOLS)"

fuzz: $(VENV)/installed-fuzz ## bytes that harm the exporter are searched for, a PBX's, then a client's; FUZZ_SECONDS=60 each
	$(BIN)/python -m fuzz.ami -max_total_time=$(FUZZ_SECONDS) $(ARGS)
	$(BIN)/python -m fuzz.web -max_total_time=$(FUZZ_SECONDS) $(ARGS)

storm: $(VENV)/installed-test ## 30 s of 50,000 events a second, then every counter against the truth; ARGS="--seconds 60"
	$(BIN)/python -m tests.trials.storm $(ARGS)

crowd: $(VENV)/installed-test ## PBXS=200 and three that are a nuisance, for a minute; ARGS="--shards 3" for as many exporters
	$(BIN)/python -m tests.trials.crowd --pbxs $(PBXS) $(ARGS)

cut: $(VENV)/installed-test ## two minutes behind a network that cuts and fragments, compared with a direct one; ARGS="--seconds 600"
	$(BIN)/python -m tests.trials.cut $(ARGS)

siege: $(VENV)/installed-test ## all that a stranger at its port can do, beside a control; ARGS="--against node_exporter"
	$(BIN)/python -m tests.trials.siege $(ARGS)

soak: $(VENV)/installed-test ## HOURS=24 simulated hours of faxes and faults, SEED=1, then every counter against the truth
	$(BIN)/python -m tests.trials.soak --hours $(HOURS) --seed $(SEED)

mutants: $(VENV)/installed-mutation ## break the code in small ways, list what no test notices; MUTANTS="'exporter.ledger.readings.*'"
	$(BIN)/mutmut run $(MUTANTS)
	$(BIN)/mutmut results | sed '/: not checked$$/d'

bench: $(VENV)/installed-test ## what a poll and a scrape cost, against the bytes alone; ARGS="polling scraping" for some of it
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/installed-test ## docs/metrics.md, docs/settings.md, docs/dashboards.md, man page and completions, anew from the code
	$(BIN)/python -m tools

scenarios: $(VENV)/installed-test ## the table of docs/alerting.md, from playing all; some minutes; ARGS="silence" plays those named so
	$(BIN)/python -m tools.scenarios_page $(ARGS)

dashboards: $(VENV)/installed-test ## grafana/dashboards/, anew from the code beside it
	$(BIN)/python -m grafana

rules: $(VENV)/installed-test ## deploy/prometheus/asterisk-fax.rules.yml, anew from the code in alerts/
	$(BIN)/python -m alerts

locks: $(VENV)/installed-lock ## locks/, anew from pyproject.toml; what they have stays, but for ARGS="--upgrade-package aiohttp" or --upgrade
	$(LOCK) --extra test pyproject.toml --output-file locks/test.txt
	$(LOCK) --constraint locks/test.txt pyproject.toml --output-file locks/runtime.txt
	$(LOCK) --constraint locks/test.txt locks/build.in --output-file locks/build.txt
	$(LOCK) --constraint locks/test.txt --extra test --extra mutation pyproject.toml --output-file locks/mutation.txt
	$(LOCK) --constraint locks/test.txt --extra fuzz pyproject.toml --output-file locks/fuzz.txt
	$(LOCK) --constraint locks/test.txt --extra lock pyproject.toml --output-file locks/lock.txt
	$(LOCK) --constraint locks/test.txt --extra packages pyproject.toml --output-file locks/packages.txt

digests: $(VENV)/installed-test ## the images of compose.yml by what their registries have now; ARGS="prometheus=v3.5.1" takes another tag
	$(BIN)/python -m tools.digests $(ARGS)

sbom: $(VENV)/installed-test ## dist/*.cdx.json, what the exporter is made of: CycloneDX, with versions, hashes, licences
	$(BIN)/python -m tools.sbom $(ARGS)

packages: $(VENV)/installed-packages ## dist/*.deb, *.rpm and *.tar.gz with a Python of their own; ARGS="--machine x86_64" for that alone
	$(BIN)/python -m packages $(ARGS)

clean: ## remove what all these made in this folder
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf mutants
	find alerts bench exporter fuzz grafana harness packages tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# The install is editable, so only what is named here makes another one due.
$(VENV)/installed: pyproject.toml locks/runtime.txt locks/build.txt $(BIN)/python
	@echo "Installing what the exporter needs into $(VENV); takes half a minute or so, once ..."
	@$(LOCKED) locks/runtime.txt --requirement locks/build.txt --only-binary :all:
	@$(TREE)
	@touch $@

$(VENV)/installed-test: pyproject.toml locks/test.txt $(BIN)/python
	@echo "Installing what the tests need into $(VENV); takes a minute or two, once ..."
	@$(LOCKED) locks/test.txt
	@$(TREE)
	@touch $@ $(VENV)/installed

$(VENV)/installed-mutation: pyproject.toml locks/mutation.txt $(BIN)/python
	@$(LOCKED) locks/mutation.txt
	@$(TREE)
	@touch $@ $(VENV)/installed $(VENV)/installed-test

$(VENV)/installed-fuzz: pyproject.toml locks/fuzz.txt locks/build.txt $(BIN)/python
	@$(LOCKED) locks/fuzz.txt --requirement locks/build.txt --only-binary :all: \
		|| { $(BIN)/python -c "$$NO_ATHERIS" >&2; exit 1; }
	@$(TREE)
	@touch $@ $(VENV)/installed

$(VENV)/installed-packages: locks/packages.txt $(VENV)/installed-test
	@$(LOCKED) locks/packages.txt --only-binary :all:
	@touch $@

# Its pins are no reason to make locks anew, so it depends on no lock.
$(VENV)/installed-lock: $(BIN)/python
	@$(LOCKED) locks/lock.txt --only-binary :all:
	@touch $@

$(BIN)/python:
	@python=$$($(MAKE) --no-print-directory --silent python) || exit 1; \
	echo "Making an environment for Python packages in $(VENV), with $$python ..."; \
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
