# Each target sets up what it needs (.ci/setup), from nothing: no virtual environment to make or activate.
PYTHON ?= python3
BIN := .venv/bin
CUDA ?= cuda12
PROGRAMS ?= $(HOME)/.cache/pypcore-programs
BUILT_FROM := pyproject.toml setup.py $(wildcard kernels/cpu/*.pyx kernels/cpu/*.px[di] kernels/cpu/*.h)
export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-long test-programs lint types wheel docs bench gpu-test gpu-bench format relion browser slurm clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/runtime  ## correct a movie with known motion and compare (needs no data, under two minutes)
	$(BIN)/pypcore demo
	@echo "Here pypcore is $(BIN)/pypcore; to have it on PATH: . $(BIN)/activate"

test: .venv/dev relion browser slurm lint types  ## everything a change must pass
	$(BIN)/pytest -n 2 --dist loadfile  # two at a time: much of it waits; a file stays together, for what its tests share
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

docs: .venv/dev  ## build the site of the documents: build/site/index.html
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/site
	@echo "open build/site/index.html"

bench: .venv/runtime  ## measure, beside RELION and the floor, and print the table
	$(BIN)/python -m bench

gpu-test: build/gpu/ready  ## on a machine with an NVIDIA GPU: the same checks on it (CUDA=cuda13 for drivers from 580 on)
	build/gpu/bin/pytest -m gpu tests/gpu
	CUDA_LAUNCH_BLOCKING=1 build/gpu/bin/pytest -m gpu tests/gpu/test_on_hardware.py
	@if command -v compute-sanitizer >/dev/null; then for tool in memcheck racecheck synccheck; do \
	    compute-sanitizer --tool $$tool --error-exitcode 9 build/gpu/bin/pytest -q -m gpu tests/gpu/test_on_hardware.py -k "kernel and 8" || exit 1; \
	done; else echo "compute-sanitizer is not on PATH: left out"; fi

gpu-bench: build/gpu/ready  ## on such a machine: times, bandwidths, ratios to the CPU and to what the GPU can do
	build/gpu/bin/python -m bench.gpu

# CuPy with the toolkit's libraries, beside the tests' own: the two extras exclude each other, so apart from .venv.
build/gpu/ready: $(BUILT_FROM)
	test -x build/gpu/bin/pip || $(PYTHON) -m venv build/gpu
	build/gpu/bin/pip install --quiet --editable '.[dev,$(CUDA)]'
	build/gpu/bin/python -c 'from pypcore.cuda import cuda_here; here = cuda_here(); print(here); exit(0 if here.devices else 3)'
	touch $@

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
