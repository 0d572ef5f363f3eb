# make app    makes the environment, then serves the app on this machine only
# make test   makes what the tests need, a browser included, then runs the linters, the type checker and every test
# make test-large   runs the checks of docs/reliability.md in their large size, for more than an hour
# make lock   writes the installed versions into constraints.txt
#
# All start from nothing, and start at once when nothing they need has changed.

VENV := .venv
BIN := $(VENV)/bin
# A file a process, and one more process than cores, as those with a browser often wait; in the tests' own order, which
# ends with short files. One thread each: the tests' tensors are tiny, and a second would only wait for the first.
PROCESSES = $$(( $$(getconf _NPROCESSORS_ONLN) + 1 ))
TESTS = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=$(PROCESSES) --maxprocesses=4 --dist=loadfile \
    --no-loadscope-reorder
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
BROWSER_NAMES := chromium chromium-browser google-chrome google-chrome-stable

.PHONY: app test test-large lock browser clean
.DELETE_ON_ERROR:

app: $(VENV)/app.stamp
	@$(BIN)/python app.py

test: $(VENV)/test.stamp browser
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/oxlint --deny-warnings assets
	$(BIN)/mypy
	$(TESTS)

# The fuzz, kill and page checks of docs/reliability.md in their large size: more than an hour on two cores.
test-large: $(VENV)/test.stamp browser
	ATESC_TEST_SIZE=large $(TESTS) tests/pages/shared/test_hostile.py tests/e2e/test_layout.py
	$(BIN)/python -m benchmarks.fuzz
	$(BIN)/python -m benchmarks.kills

$(VENV)/app.stamp: requirements.txt constraints.txt pyproject.toml | $(BIN)/pip
	@echo "Installing what the app needs. PyTorch is most of it: about 5 GB, a few minutes."
	$(INSTALL) --editable .
	@touch $@

$(VENV)/test.stamp: $(VENV)/app.stamp tests/requirements.txt
	$(INSTALL) --requirement tests/requirements.txt
	@touch $@

# pip is the last thing that venv makes: without it an earlier attempt was cut short.
$(BIN)/pip:
	@python=$$(for name in $$PYTHON python3 python3.13 python3.12 python3.11; do \
	    "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done); \
	if [ -z "$$python" ]; then \
	    echo "Python 3.11 or newer was not found. Install it (Debian: apt-get install python3 python3-venv)," >&2; \
	    echo "or say where it is: make app PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
	    package=$$("$$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	    $(call apt_install,$$package) || { \
	        echo "$$python cannot make environments. Install what it lacks: apt-get install $$package" >&2; exit 1; }; \
	fi; \
	"$$python" -m venv --clear $(VENV)

browser:
	@for name in $(BROWSER_NAMES); do command -v $$name >/dev/null && exit 0; done; \
	$(call apt_install,chromium fonts-liberation) || { \
	    echo "The tests drive a browser and none was found. Install one: apt-get install chromium" >&2; exit 1; }

# Writes down what is installed, after `make test` has passed with it.
lock: $(VENV)/test.stamp
	@{ grep '^#' constraints.txt; $(BIN)/python -m pip freeze --exclude-editable; } > constraints.new
	@mv constraints.new constraints.txt

clean:
	rm -rf $(VENV)

# apt-get where there is one and it may be used without a question; fails quietly otherwise.
define apt_install
{ command -v apt-get >/dev/null && \
  { [ "$$(id -u)" = 0 ] && as_root= || { sudo -n true 2>/dev/null && as_root=sudo; }; } && \
  echo "Installing $(1) with apt-get." && \
  $$as_root apt-get update -qq && \
  DEBIAN_FRONTEND=noninteractive $$as_root apt-get install -y -qq --no-install-recommends $(1) >/dev/null; }
endef
