# Everything the book needs, from a fresh checkout: `make book` or `make test`.
# GNU make; the only things taken from outside are Python 3.11-3.14, the packages in requirements-book.txt and
# requirements.txt, MathJax and (for the tests) axe-core and Debian's Chromium.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?=
FORCE ?=
AFTER ?= _build/html
VENV := .venv
# Two layers: what builds the site from what is stored, and all that runs and tests it. A stamp says that one is there.
BOOK := $(VENV)/.book
ALL := $(VENV)/.all
ALONE := scripts/alone.sh
BIN := $(VENV)/bin
NPM := _build/npm/.fetched
PDF := _build/pdf/depthwise-separable-convolution.pdf
NOTEBOOKS = $(sort $(wildcard chapters/*.ipynb exercises/solution*.ipynb exercises/*/solution*.ipynb))

# Two threads in every run, on any machine: sums are added in the same order everywhere, and the
# times stored in the book are those of two cores.
export OMP_NUM_THREADS ?= 2
export PYTHONUNBUFFERED := 1

.PHONY: help book test check notebooks results site pdf card lighthouse lite repo publishable changed newest lab lint format clean browser sandbox colab not-root always

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | while IFS=$$'\t' read -r t d; do printf '  make %-11s %s\n' "$$t" "$$d"; done
	@echo '  make ... PYTHON=python3.12   use this interpreter (run make clean first if .venv exists)'

book: $(BOOK)  ## build the site, after executing the notebooks that changed, and say which file to open
	@$(BIN)/dsconv release
	@$(BIN)/python -m book_builder.execute --check || $(MAKE) --no-print-directory notebooks
	@$(MAKE) --no-print-directory site
	@echo "The book is built. Open $(CURDIR)/_build/html/index.html"

# Runs a part of the tests, and writes down how long it took.
part = @start=$$SECONDS; $(2); printf '%5d s  %s\n' $$((SECONDS - start)) '$(1)' >>_build/parts
PYTEST := $(BIN)/python -m pytest
NBVAL := --nbval --nbval-current-env --nbval-sanitize-with tests/nbval-sanitize.cfg
# The kernels are Python only where Triton is.
DOCTESTS = --doctest-modules dsconv_lib book_builder $(if $(wildcard $(VENV)/lib/*/site-packages/triton),,--ignore dsconv_lib/kernels)

# Never executes a notebook: a stale one must fail a test here, not be mended on the way. Two processes, as there are two
# cores; with loadfile, tests that share a browser or a class stay together.
test:  ## style, types, a fresh build of the site and its PDF, all tests, every notebook re-run and compared
	@mkdir -p _build && : >_build/parts
	$(call part,environments,$(MAKE) --no-print-directory $(ALL) $(NPM) browser sandbox colab)
	$(call part,style and types,$(MAKE) --no-print-directory lint)
	@rm -rf _build/html _build/singlehtml _build/pdf _build/.doctrees
	$(call part,PDF and site,$(MAKE) --no-print-directory pdf)
	$(call part,tests,OMP_NUM_THREADS=1 $(PYTEST) tests -n 2 --dist loadfile)
	$(call part,examples in docstrings,$(PYTEST) -q $(DOCTESTS))
	$(call part,notebooks compared,$(PYTEST) -n 2 --dist loadfile $(NBVAL) $(NOTEBOOKS))
	@cat _build/parts

check: lint  ## style, types, and for a minute the tests that your change can affect, nearest first
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.affected

notebooks: $(ALL)  ## make the exercises' notebooks, execute those that changed (FORCE=1: all of them)
	@$(BIN)/dsconv release
	@$(ALONE) $(BIN)/python -m book_builder.execute $(if $(FORCE),--force)

# Sphinx remembers a page it has warned about and would stay silent, and succeed, the second time:
# after a failure its memory is thrown away.
site: $(BOOK) $(NPM)  ## build the site from what is stored in the notebooks
	@$(ALONE) $(BIN)/jupyter-book build . -W -n --keep-going || { rm -rf _build/.doctrees; exit 1; }

lite: site  ## add exercises that run on the page, with JupyterLite: make lite PYODIDE=.../pyodide-314.0.6.tar.bz2
	@scripts/lite.sh _build/html $(BIN)/python $(PYODIDE)

# Apart from site, since printing takes minutes. A site built later has the PDF as long as nothing that it is printed from is newer.
pdf: $(BOOK) $(ALL) $(NPM) browser  ## print the whole book into one PDF, and build the site with it
	@$(ALONE) $(BIN)/jupyter-book build . -W -n --keep-going --builder singlehtml || { rm -rf _build/.doctrees; exit 1; }
	@$(BIN)/python -m book_builder.pdf _build/singlehtml/intro.html $(PDF)
	@$(MAKE) --no-print-directory site

card: $(ALL) browser  ## draw the picture that goes with a link to the site
	@$(BIN)/python -m book_builder.social_card

results: $(ALL)  ## measure what the training chapter shows (small on a CPU); CIFAR-10 from DSCONV_DATA
	@$(BIN)/dsconv measure training
	@$(BIN)/dsconv measure recipes
	@$(BIN)/python -m book_builder.readme

repo: $(ALL)  ## point buttons, notebooks and badges at a repository: make repo URL=https://github.com/OWNER/NAME
	@$(BIN)/python -m book_builder.address $(URL)

# The shell reads the values, not make: a tag may hold what make or the shell would run.
publishable: $(BOOK)  ## are these the address and the tag that everything names? make publishable URL=... TAG=v0.1.0
	@$(BIN)/python -m book_builder.address "$${URL:?expected URL=https://github.com/OWNER/NAME}" --check "$${TAG:?expected TAG=v0.1.0}"

changed: $(BOOK)  ## list the pages in which two built sites differ: make changed BEFORE=... [AFTER=_build/html]
	@$(BIN)/python -m book_builder.changed_pages $(BEFORE) $(AFTER)

# In a clone, so that requirements.txt and the environment stay as they are here. The course is written for Jupyter Book 1.
newest:  ## run all tests with the newest releases of what requirements.txt pins
	@clone=$$(mktemp -d)/course; git clone --quiet . "$$clone"; echo "Testing in $$clone"; \
	sed -i -E 's/^(jupyter-book)==.*/\1<2/; s/^([a-z0-9-]+)==[^;]*/\1/' "$$clone"/requirements*.txt; \
	$(MAKE) --no-print-directory -C "$$clone" test

lighthouse: browser site  ## what Lighthouse says of the pages on a slow phone (measures time: not part of the tests)
	@$(BIN)/python -m book_builder.lighthouse

lab: not-root $(ALL)  ## open the chapters in JupyterLab
	@$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/chapters

lint: $(ALL)  ## style, types, and what is unsafe in a workflow
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/zizmor --offline --quiet --strict-collection .github

format: $(ALL)  ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## back to a fresh checkout: removes .venv, _build and caches
	rm -rf $(VENV) _build build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written last, so an interrupted installation is never taken for a finished one.
$(BOOK): requirements-book.txt pyproject.toml
	@$(ALONE) scripts/venv.sh book $(VENV) $(PYTHON)

$(ALL): requirements.txt $(BOOK)
	@$(ALONE) scripts/venv.sh all $(VENV) $(PYTHON)

# A virtual environment holds absolute paths: in a folder that was copied or moved, make it again.
ifneq ($(shell cat $(BOOK) 2>/dev/null),$(CURDIR))
$(BOOK): always
endif

not-root:
	@[ "$$(id -u)" -ne 0 ] || { echo "JupyterLab does not run as root: type make lab as an ordinary user, in a copy that is yours." >&2; exit 1; }

# MathJax and axe-core, which are not committed: npm downloads them and checks their hashes. Its scripts look for node on the PATH.
$(NPM): scripts/package.json scripts/package-lock.json | $(BOOK)
	@mkdir -p $(@D) && cp $^ $(@D)
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

browser:
	@scripts/install.sh chromium "the tests of the site, and the PDF" chromium chromium-browser google-chrome

sandbox:
	@scripts/sandbox.sh

colab: $(ALL)
	@scripts/colab.sh _build/colab $(BIN)/python $(TORCH)
