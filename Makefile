# Everything a fresh Debian 12 needs beside python3, python3-venv and make is set up by these targets.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP_FLAGS = --quiet --disable-pip-version-check

.PHONY: help run test test-fast test-tflite test-convert convert-env case-digits system-test system-test-arm64 soak lint simulator bench model schema clean

help:  ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: $(VENV)/run.stamp  ## the daemon with a synthetic camera, live in this terminal; SECONDS=n ends it after n seconds
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/demo.sh $(SECONDS)

test: $(VENV)/test.stamp  ## all tests
	@$(BIN)/python -m compileall -q daemon  # else each of hundreds of processes does, where bytecode is not written
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

test-fast: $(VENV)/test.stamp  ## the tests that take no seconds
	@$(BIN)/python -m compileall -q daemon
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "not slow" $(ARGS)

test-tflite: $(VENV)-tflite/test.stamp  ## the runtimes' tests beside tflite-runtime, in an environment of its own (Python 3.11)
	$(VENV)-tflite/bin/python -m pytest tests/engine/test_interpreter.py tests/engine/test_runtimes_*.py $(ARGS)

test-convert: $(VENV)-convert/test.stamp  ## the tests that need TensorFlow and PyTorch, in an environment of its own
	$(VENV)-convert/bin/python -m pytest tests/convert $(ARGS)

convert-env: $(VENV)-convert/run.stamp  ## what `visiond models convert` needs, for a clone; a device or a PC: convert --set-up

case-digits: $(VENV)-convert/test.stamp  ## train, convert and measure the network of docs/case-digits.md; minutes
	@BIN=$(CURDIR)/$(VENV)-convert/bin sh examples/digits/reproduce.sh

system-test:  ## a booted Debian with a camera, and containers with systemd: tests/system/README.md; as root, 15 minutes
	tests/system/run $(ARGS)

system-test-arm64:  ## what install.sh installs on arm64 resolves, installs and computes; as root, 10 minutes
	tests/system/arm64/run

soak:  ## the service in a container, with a fault of another kind every 10 s; SECONDS=n, 1200 unless given; as root
	LENGTH_S=$(or $(SECONDS),1200) tests/system/soak/run

lint: $(VENV)/test.stamp  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

simulator:  ## compile the simulated Edge TPU; tests/edgetpu_sim/README.md tells how to run the daemon on it
	@$(MAKE) --no-print-directory -C tests/edgetpu_sim

bench: $(VENV)/test.stamp  ## measure; prints a table, and JSON to bench.json
	PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

model: $(VENV)/run.stamp  ## train, quantize and measure models/shapes again, in its own environment; under 45 minutes on 2 cores
	@PYTHON=$(PYTHON) BIN=$(CURDIR)/$(BIN) sh models/shapes/make.sh $(ARGS)

schema: $(VENV)/run.stamp  ## write the configuration's JSON Schema
	$(BIN)/visiond schema > visiond.schema.json

clean:  ## remove what the targets above have set up
	rm -rf $(VENV) $(VENV)-tflite $(VENV)-convert .venv-model build .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/python.stamp:
	@sh tools/check-python.sh $(PYTHON)
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: $(VENV)/python.stamp setup.cfg pyproject.toml
	@echo "installing visiond and what it needs into $(VENV) (about 150 MB, a minute)"
	@$(BIN)/pip install $(PIP_FLAGS) -e '.[tools]' || { echo "pip could not install the packages: is there a network, and room on the disk?" >&2; exit 69; }
	@touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	@echo "installing what the tests need into $(VENV)"
	@$(BIN)/pip install $(PIP_FLAGS) -e '.[tools,test]' || { echo "pip could not install the packages: is there a network, and room on the disk?" >&2; exit 69; }
	@touch $@

$(VENV)-tflite/test.stamp: setup.cfg pyproject.toml
	@sh tools/check-python.sh $(PYTHON)
	@echo "setting up $(VENV)-tflite, where NumPy is older than 2"
	@$(PYTHON) -m venv $(VENV)-tflite
	@$(VENV)-tflite/bin/pip install $(PIP_FLAGS) -e '.[tflite,onnx,test]' || { echo "pip could not install the packages: is there a network, and room on the disk?" >&2; exit 69; }
	@touch $@

$(VENV)-convert/run.stamp: setup.cfg pyproject.toml
	@sh tools/check-python.sh $(PYTHON)
	@echo "setting up $(VENV)-convert with TensorFlow and onnx2tf (2.6 GB, some minutes)"
	@$(PYTHON) -m venv $(VENV)-convert
	@$(VENV)-convert/bin/pip install $(PIP_FLAGS) -e '.[tools,convert]' || { echo "pip could not install the packages: is there a network, and room on the disk?" >&2; exit 69; }
	@touch $@

$(VENV)-convert/test.stamp: $(VENV)-convert/run.stamp
	@echo "installing what the tests need into $(VENV)-convert"
	@$(VENV)-convert/bin/pip install $(PIP_FLAGS) -e '.[tools,convert,test,convert-test]' || { echo "pip could not install the packages: is there a network, and room on the disk?" >&2; exit 69; }
	@touch $@
