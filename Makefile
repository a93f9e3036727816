# `make demo` and `make test` do everything on a fresh machine; nothing else needs to be installed by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := $(VENV)/.demo
CHARTS := $(VENV)/.installed-charts
# An upgrade of the system removes the Python that the virtual environment links to; in a checkout that was moved, its
# programs name the old folder.
GONE := $(shell $(BIN)/pip --version >/dev/null 2>&1 || echo gone)

#: Programs that tests run for real; what is missing is installed where that is possible, else its tests skip.
PROGRAMS := prometheus promtool amtool prometheus-alertmanager chromium

# Tests start hundreds of processes: each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint types compiled docs programs bench chaos fuzz mutation lock clean gone

demo: $(DEMO)
	@echo "== Demo: broker, Redis, worker and a simulated market, on this machine"
	$(BIN)/marginwatch up --until-done

test: $(STAMP) $(CHARTS) programs
	@# mypy needs one processor; meanwhile the other one compiles the tests for all processes that run them.
	@$(MAKE) --no-print-directory --output-sync=target -j 2 lint types compiled
	@echo "== Tests: pure processors, the documentation, then the stream on real brokers and a real Redis"
	@# Much of a test is waiting for processes and sessions: six at a time; tests/conftest.py orders and groups them.
	$(BIN)/pytest -n 6 --dist loadgroup --no-loadscope-reorder

lint: $(STAMP)
	@echo "== Lint and format"
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

compiled: $(STAMP)
	@echo "== Tests: all are found"
	@$(BIN)/pytest --collect-only -qq >$(VENV)/collected.log || { cat $(VENV)/collected.log; exit 1; }

types: $(STAMP)
	@echo "== Types"
	$(BIN)/mypy

# A broken link or a missing page is an error. The site is in out/site; nothing in it is loaded from elsewhere.
docs: $(STAMP)
	@echo "== Documentation"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

programs:
	@for name in $(PROGRAMS); do command -v $$name >/dev/null || missing=1; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "== Set-up: Debian's Prometheus, Alertmanager and Chromium, which the tests run"; \
		(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			prometheus prometheus-alertmanager chromium fonts-noto-cjk) >/dev/null 2>&1 \
			|| echo "   not possible here: the tests that need them skip"; \
	fi

bench: $(STAMP)
	$(BIN)/python -m bench

# About an hour: every fault many times on both brokers, against a golden run of real data. SEED repeats a run.
chaos: $(STAMP)
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED))

# Ten minutes: a million hostile messages against every decoder and fold, in processes with limits of time and memory.
# FUZZ="--seed S --number N" repeats one of them.
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz $(FUZZ)

# Hours on two processors (a minute for each change of the market stage): a sample of small changes of the code, and how
# many of them the fast tests notice; --sample 4 --indicators 2 takes a third of the time. mutmut needs a
# newer click than Faust, so it has a virtual environment of its own, which sees the packages of the other one.
# MUTATION="--sample 40 --only 'processors/*store.py'" takes another sample.
mutation: $(STAMP)
	@test -x .venv-mutation/bin/mutmut || { $(PYTHON) -m venv .venv-mutation \
		&& .venv-mutation/bin/pip install --quiet mutmut==3.8.1 \
		&& $(BIN)/python -c "import site; print(site.getsitepackages()[0])" \
			> $$(.venv-mutation/bin/python -c "import site; print(site.getsitepackages()[0])")/marginwatch.pth; }
	.venv-mutation/bin/python -m tests.mutation $(MUTATION)

# The lock files name exact versions and hashes: one for this checkout, one for the chart model (scoring and training, which
# the demo needs neither of), and one, of the same versions, for production, which contains no tests, no embedded servers and
# no training.
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet
lock:
	$(COMPILE) --extra local --extra notify --extra console --extra study --extra dev --output-file requirements.lock
	$(COMPILE) --extra local --extra console --constraint requirements.lock --output-file requirements-demo.lock
	$(COMPILE) --extra charts --extra charts-train --constraint requirements.lock \
		--output-file requirements-charts.lock
	$(COMPILE) --extra notify --extra console --extra study --extra excel --extra charts --group build \
		--constraint requirements.lock --constraint requirements-charts.lock \
		--output-file requirements-production.lock

# uv installs in a fifth of pip's time. Where it can't be had, pip does.
install = if test -x $(BIN)/uv; then $(BIN)/uv pip install --quiet --python $(BIN)/python $(1); \
	else $(BIN)/pip install --quiet $(1); fi

$(DEMO): requirements-demo.lock pyproject.toml $(GONE)
	@echo "== Set-up: a virtual environment with what the demo needs"
	@$(if $(GONE),! test -e $(VENV)/pyvenv.cfg || rm -rf $(VENV))
	$(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.lock > $(VENV)/uv.txt
	@$(BIN)/pip install --quiet --require-hashes -r $(VENV)/uv.txt || echo "   without uv: pip takes longer"
	@$(call install,--require-hashes -r requirements-demo.lock)
	@$(call install,--no-deps -e .)
	@touch $(DEMO)

$(STAMP): $(DEMO) requirements.lock
	@echo "== Set-up: what tests, studies and documentation need, too"
	@$(call install,--require-hashes -r requirements.lock)
	@touch $(STAMP)

$(CHARTS): requirements-charts.lock $(STAMP)
	@echo "== Set-up: onnxruntime and PyTorch, which the tests of the chart model run"
	@$(call install,--require-hashes -r requirements-charts.lock)
	@touch $(CHARTS)

clean:
	rm -rf $(VENV) .venv-mutation mutants out .mypy_cache .ruff_cache .pytest_cache .hypothesis
