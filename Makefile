# From the Gym to the gates. `make` alone prints the targets; every target makes the virtual environment first.
ENV        ?= cartpole
METHOD     ?= binarynet
HIDDEN     ?= 16
SEED       ?=
BITS       ?=
CLUSTERS   ?=
PERCENTILE ?=
ACTIVATION_BITS ?=
SET        ?=
PART       ?=
CLOCK_MHZ  ?=
TOOL       ?= open
BACKEND    ?= all
EPISODES   ?=
ROOT       ?=
ONNX       ?=
BOARD      ?=
PORT       ?= sim
FAULTS     ?=
MINUTES    ?=
MUTATIONS  ?=
STEPS      ?=
QUICK      ?=
CSIM       ?=
TASK       ?=
SCHEDULER  ?=
BUDGET     ?= 30m
WORKERS    ?=

PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python
READY  := $(VENV)/.ready
TOOLS  := build/supply
# torch's file differs from index to index (with CUDA, without), so that no hash fits all; what only it needs goes with it
UNLOCKED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti cuda-nvrtc \
            cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink \
            nvshmem-cu13 nvtx)

# $(call flag,NAME,--name): the option, if the user gave the variable a value
flag   = $(if $($(1)),$(2) "$($(1))")
policy = $(call flag,ENV,--env) $(call flag,METHOD,--method) $(call flag,HIDDEN,--hidden) $(call flag,SEED,--seed) \
         $(call flag,BITS,--bits) $(call flag,CLUSTERS,--clusters) $(call flag,PERCENTILE,--percentile) \
         $(call flag,ACTIVATION_BITS,--activation-bits) $(call flag,SET,--set) $(call flag,ROOT,--root)
board  = $(policy) $(call flag,BOARD,--board)
build  = $(policy) $(call flag,PART,--part) $(call flag,CLOCK_MHZ,--clock-mhz)
foreign = $(call flag,ONNX,--onnx) $(call flag,PART,--part) $(call flag,CLOCK_MHZ,--clock-mhz) $(call flag,ROOT,--root)

.DEFAULT_GOAL := help
.PHONY: help venv train synth evaluate curves matrix report parts hil watch bitstream boards endure paper explore bench-train prove equality fuzz kill-test reproduce audit licences lock test coverage lint clean
.SUFFIXES:
# A command that make started ends with it, however make ends.
export HLS4RL_MAKE := $(shell echo $$PPID)

help: ## print this list
	@echo "hls4rl: a reinforcement-learning policy, from the Gym to the gates"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Variables: ENV=$(ENV) METHOD=$(METHOD) HIDDEN=$(HIDDEN) SEED BITS CLUSTERS PERCENTILE ACTIVATION_BITS SET PART CLOCK_MHZ"
	@echo "           TOOL=$(TOOL) BACKEND=$(BACKEND) EPISODES BOARD PORT=$(PORT) FAULTS; what each means: .venv/bin/python -m hls4rl.hls_projects synth --help"

venv: $(READY) ## make the virtual environment with the pinned versions

$(READY): pyproject.toml constraints.txt requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than 3.11; install Python 3.11 or give PYTHON=python3.12" >&2; exit 1; }
	@echo "making $(VENV) (about 2.5 GB, once) …"
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "error: '$(PYTHON) -m venv' failed; on Debian install python3-venv" >&2; exit 1; }
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

train: $(READY) ## train policies: one SEED, or several of which the best by validation is chosen
	@$(RUN) -m hls4rl.train $(policy)

synth: $(READY) ## train, export, convert, C-simulate, place and route, and verify in the Gym loop: the whole pipeline
	@$(RUN) -m hls4rl.hls_projects $(if $(ONNX),$(foreign),synth $(build) $(call flag,TOOL,--tool) $(call flag,EPISODES,--episodes))

evaluate: $(READY) ## drive Gymnasium by BACKEND=torch|qonnx|onnxruntime|csim|rtl|netlist|all and compare every step
	@$(RUN) -m hls4rl.hls_projects evaluate $(build) $(call flag,BACKEND,--backend) $(call flag,EPISODES,--episodes)

curves: $(READY) ## draw the learning curves of all runs of ENV that are trained here, as the paper's Figures 5 and 6
	@$(RUN) -m hls4rl.studies.paper.learning $(call flag,ENV,--env) $(call flag,ROOT,--root)

prove: $(READY) ## certificate: netlist, RTL and software equal on ALL observations; MINUTES, MUTATIONS=100 faulty netlists
	@$(RUN) -m hls4rl.hls_projects prove $(policy) $(call flag,PART,--part) $(call flag,MINUTES,--minutes) \
	  $(call flag,MUTATIONS,--mutations)

equality: $(READY) ## all executors of all built policies on STEPS (10 million) visited and random observations; resumable
	@$(RUN) -m hls4rl.hls_projects equality $(call flag,STEPS,--steps) $(call flag,ROOT,--root)

fuzz: $(READY) ## random networks through every conversion, and 110,000 damaged files and frames into every parser
	@PYTHONPATH=. $(RUN) tests/fuzz/run.py

kill-test: $(READY) ## SIGKILL make synth and make paper at 50 random moments each; end each command in 9 ways and count orphans
	@$(RUN) -m tools.faults
	@$(RUN) -m tools.orphans

reproduce: $(READY) ## run make synth twice, in two places, and compare every artefact by its hash
	@$(RUN) -m tools.reproduce $(build)

matrix: $(READY) ## every method × {cartpole, acrobot} × hidden 16 and 64, each verified on 100,000 steps: one table
	@$(RUN) -m hls4rl.studies.matrix $(call flag,ROOT,--root) $(call flag,PART,--part)

report: $(READY) ## one self-contained page for each task, and one over all: figures, plots, commands; as JSON and Markdown too
	@$(RUN) -m hls4rl.report $(call flag,ROOT,--root)

parts: $(READY) ## list the parts that can be built for
	@$(RUN) -m hls4rl.hls_projects parts

hil: $(READY) ## let the board on PORT (default: a simulated one) drive Gymnasium, each action checked; FAULTS=0.01 for a bad wire
	@$(RUN) -m hls4rl.firmware hil $(board) $(call flag,PORT,--port) $(call flag,EPISODES,--episodes) $(call flag,FAULTS,--faults)

watch: $(READY) ## draw an episode that the board drives, as a GIF
	@$(RUN) -m hls4rl.firmware watch $(board) $(call flag,PORT,--port)

bitstream: $(READY) ## policy and serial link for BOARD, placed and routed, and the command that loads it
	@$(RUN) -m hls4rl.firmware bitstream $(board)

boards: $(READY) ## list the boards
	@$(RUN) -m hls4rl.firmware boards

endure: $(READY) ## fuzz the simulated board with 100,000 damaged frames, then soak it for MINUTES (10) over a bad wire
	@$(RUN) -m hls4rl.firmware endure $(policy) $(call flag,MINUTES,--minutes) $(call flag,FAULTS,--faults)

paper: $(READY) ## the paper's 500 policies in two recipes with controls: figures, tables, claims; QUICK=1 for a slice, CSIM=1 to C-simulate the best; TASK=pong for Pong
	@$(RUN) -m hls4rl.studies.paper $(call flag,TASK,--task) $(if $(QUICK),--quick) $(if $(CSIM),--csim) $(call flag,SCHEDULER,--scheduler) $(call flag,ROOT,--root)

explore: $(READY) ## search for the smallest and quickest cores that solve ENV within BUDGET; ends in a front of make synth lines
	@$(RUN) -m hls4rl.studies.explore $(call flag,ENV,--env) $(call flag,BUDGET,--budget) $(call flag,PART,--part) \
	  $(call flag,WORKERS,--workers) $(call flag,SCHEDULER,--scheduler) $(call flag,SET,--set) $(call flag,ROOT,--root)

bench-train: $(READY) ## steps per second and time to solve CartPole against a plain loop and stable-baselines3
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@$(RUN) -m hls4rl.studies.benchmark

test: $(READY) ## run the tests (pytest)
	@$(RUN) -m pytest

coverage: $(READY) ## the tests, and which lines of our own code they ran, in subprocesses too; fails below 90 %
	@mkdir -p build/coverage
	@$(RUN) -m pytest --cov --cov-report=term-missing

lint: $(READY) ## ruff, mypy, and which package may import which
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache

$(TOOLS)/bin/pip-audit: constraints.txt
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt pip-audit pip-licenses uv

audit: $(READY) $(TOOLS)/bin/pip-audit ## ask the index for known weaknesses of the pinned versions
	@$(RUN) -m tools.supply_chain audit $(TOOLS)/bin

licences: $(READY) $(TOOLS)/bin/pip-audit ## list the licences of what we depend on: docs/licences.md
	@$(RUN) -m tools.supply_chain licences $(TOOLS)/bin

lock: $(TOOLS)/bin/pip-audit ## write requirements.lock, the hashes of all files of the versions in constraints.txt
	@$(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --extra dev -c constraints.txt \
	  $(addprefix --no-emit-package ,$(UNLOCKED)) pyproject.toml -o requirements.lock

clean: ## remove generated runs (not the virtual environment)
	rm -rf runs/*/*-h*-s* $(foreach kind,html json md,runs/report.$(kind) runs/*/report.$(kind)) build
