# Each target sets up what it needs (.ci/setup), from nothing: no virtual environment to make or activate.
PYTHON ?= python3
BIN := .venv/bin
PROGRAMS ?= $(HOME)/.cache/pypcore-programs
BUILT_FROM := pyproject.toml setup.py $(wildcard kernels/cpu/*.pyx kernels/cpu/*.px[di] kernels/cpu/*.h)
export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-long test-programs lint types wheel bench format relion browser slurm clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/runtime  ## correct a movie with known motion and compare (needs no data, under two minutes)
	$(BIN)/pypcore demo
	@echo "Here pypcore is $(BIN)/pypcore; to have it on PATH: . $(BIN)/activate"

test: .venv/dev relion browser slurm lint types  ## everything a change must pass
	$(BIN)/pytest
	@$(MAKE) --no-print-directory wheel

test-long: .venv/dev relion browser slurm  ## more moments of death, larger movies; an hour or so
	PYPCORE_MOMENTS=10 PYPCORE_SPINE_SIZE=1024,16 $(BIN)/pytest -m "" --timeout 3600

test-programs: .venv/dev  ## install Topaz, MemBrain-seg, cryoCARE apart, and run them; 4 GB of disk
	tests/real_programs/install.sh $(PROGRAMS)
	PYPCORE_REAL=$(PROGRAMS) $(BIN)/pytest -m real tests/real_programs -rs -s

lint: .venv/dev  ## style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/dev  ## types
	$(BIN)/mypy

# A wheel from the sdist, installed apart and run from another folder: nothing may come from this checkout.
wheel: .venv/dev  ## build sdist and wheel, install the wheel elsewhere and run it
	rm -rf dist build/elsewhere && mkdir -p build/elsewhere
	$(BIN)/python -m build --outdir dist . > build/wheel.log 2>&1 || { cat build/wheel.log; exit 1; }
	! tar -tvzf dist/*.tar.gz | grep -E '^l|\.(c|so|pyc)$$'  # sources only, and no link
	! $(BIN)/python -m zipfile -l dist/*.whl | tail -n +2 | grep -vE '^pypcore(-[0-9.]+\.dist-info)?/'
	test -x build/venv/bin/pip || $(PYTHON) -m venv build/venv
	build/venv/bin/pip install --quiet --no-compile dist/*.whl
	build/venv/bin/pip install --quiet --no-compile --force-reinstall --no-deps dist/*.whl
	cd build/elsewhere && ../venv/bin/pypcore version && ../venv/bin/pypcore --help > help.txt
	cd build/elsewhere && ../venv/bin/pypcore programs > programs.txt && grep -q motioncor3 programs.txt
	cd build/elsewhere && ../venv/bin/pypcore demo --movies 1

bench: .venv/runtime  ## measure, beside RELION and the floor, and print the table
	$(BIN)/python -m bench

format: .venv/dev  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

relion browser slurm:
	@.ci/setup $@

clean:  ## remove all that was built, .venv too
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f kernels/cpu/*.c kernels/cpu/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/runtime: $(BUILT_FROM)
	.ci/setup runtime

.venv/dev: $(BUILT_FROM)
	.ci/setup dev
