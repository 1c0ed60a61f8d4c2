# From the Gym to the gates. `make` alone prints the targets; every target makes the part of the environment it needs.

# What a user may set, on the command line or in the environment; `hls4rl VERB --help` tells what each means.
VARIABLES := ENV METHOD HIDDEN SEED BITS CLUSTERS PERCENTILE ACTIVATION_BITS TRAINER SET PART CLOCK_MHZ TOOL BACKEND EPISODES \
             ROOT ONNX INPUT POLICY TEACHER NORMALISER ACTIVATION SQUASH POLICIES BUILD BOARD BUS TRANSACTIONS PORT FAULTS FRAMES \
             PROPERTIES MINUTES MUTATIONS STEPS QUICK PUBLISHED CSIM TASK SEEDS SCHEDULER BUDGET WORKERS UNITS
# The verbs of the command hls4rl, which the targets of these names call
VERBS := train observe synth evaluate curves prove equality matrix report parts hil watch bitstream shell boards \
         endure paper tune explore fold zoo bench-train bench-ppo records

PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python
READY  := $(VENV)/.ready
DEV    := $(VENV)/.ready-dev
TOOLS  := build/supply
# torch's file differs from index to index (with CUDA, without), so that no hash fits all; what only it needs goes with it
UNLOCKED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti cuda-nvrtc \
            cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink \
            nvshmem-cu13 nvtx)
# Four of five modules are never imported: those that are, Python compiles then, in a fifth of the time.
INSTALL := install --no-compile
# What comes with the targets that use it, beyond requirements.lock: $(VENV)/.ready-NAME from requirements-NAME.lock
EXTRAS := dev ice40 gowin box2d mujoco bench cocotb
PIP    := $(RUN) -m pip --disable-pip-version-check --quiet
# $(call asked,word …): whether a part or board of such a name is asked for
asked  = $(strip $(foreach word,$(1),$(findstring $(word),$(value PART) $(value BOARD) $(value SET))))

.DEFAULT_GOAL := help
.PHONY: help venv $(VERBS) sb3 crown fuzz bench-shells bench-cocotb prove-shells kill-test reproduce audit licences lock test coverage lint api clean
.SUFFIXES:
# A command that make started ends with it, however make ends.
export HLS4RL_MAKE := $(shell echo $$PPID)
# A value reaches the command in its environment, as it stands: neither make nor a shell reads it.
unexport $(VARIABLES)
$(foreach name,$(VARIABLES),$(eval $(VERBS) reproduce: export HLS4RL_$(name) = $$(value $(name))))

help: ## print this list
	@echo "hls4rl: a reinforcement-learning policy, from the Gym to the gates"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Variables: $(VARIABLES)" | fold -s -w 100
	@echo "What each means to a target, with examples: $(RUN) -m hls4rl synth --help"
	@echo "The environment takes 2.2 GB with PyTorch's CPU build (make PIP_EXTRA_INDEX_URL=…, see README), 7 GB without."

venv: $(READY) ## make the virtual environment with the pinned versions

$(READY): pyproject.toml constraints.txt requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than 3.11; install Python 3.11 or give PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "error: '$(PYTHON) -m venv' failed; on Debian install python3-venv" >&2; exit 1; }
	@$(RUN) tools/space.py
	@$(PIP) $(INSTALL) --no-deps --require-hashes -r requirements.lock
	@$(PIP) $(INSTALL) -c constraints.txt -e .
	@rm -f $(EXTRAS:%=$(VENV)/.ready-%)
	@touch $@

# No dates: a new $(READY) takes them away.
$(EXTRAS:%=$(VENV)/.ready-%): $(VENV)/.ready-%: | $(READY)
	@echo "adding what only some targets use: $* …"
	@$(PIP) $(INSTALL) --no-deps --require-hashes -r requirements-$*.lock
	@touch $@

observe: ## what the features of ENV are like, beside the range that the converter keeps: a table and histograms
train: ## train policies: one SEED, or several of which the best by validation is chosen
synth: ## train, export, convert, C-simulate, place and route, and verify in the Gym loop: the whole pipeline
evaluate: ## drive Gymnasium by BACKEND=torch|qonnx|onnxruntime|csim|rtl|netlist|all and compare every step
curves: ## draw the learning curves of all runs of ENV that are trained here, as the paper's Figures 5 and 6
prove: ## certificate: netlist, RTL and software equal on ALL observations; MINUTES, MUTATIONS=100 faulty netlists
equality: ## all executors of all built policies on STEPS (10 million) visited and random observations; resumable
matrix: ## every method × {cartpole, acrobot} × hidden 16 and 64, each verified on 100,000 steps: one table
report: ## one self-contained page for each task, and one over all: figures, plots, commands; as JSON and Markdown too
parts: ## list the parts that can be built for
hil: ## let the board on PORT (default: a simulated one) drive Gymnasium, each action checked; FAULTS=0.01 for a bad wire
watch: ## draw an episode that the board drives, as a GIF
bitstream: ## policy and serial link for BOARD, placed and routed, and the command that loads it
shell: ## the policy behind BUS=axis|axil|wishbone (SHELL is make's own): Verilog, C header, LiteX module, all tried
boards: ## list the boards
endure: ## fuzz the simulated board with FRAMES (100,000) damaged frames, then soak it for MINUTES (10) over a bad wire
paper: ## the paper in four recipes with controls: figures, tables, claims; QUICK=1 for a slice, PUBLISHED=1 from the kept rows, CSIM=1 to C-simulate the best; TASK=pong for Pong, SEEDS=3
tune: ## the learning rate of every method in every recipe of the paper, by one search with the same budget for each
explore: ## search for the smallest and quickest cores that solve ENV within BUDGET; ends in a front of make synth lines
zoo: $(VENV)/.ready-box2d $(VENV)/.ready-mujoco ## every agent in the folder POLICIES through import: returns in floats, 16 and 8 bits, cores; BUILD= names those that end in a bitstream
fold: ## one trained policy with UNITS=0,1,2,4 (0: unrolled): the RTL compared on STEPS, area drawn against latency
sb3: $(READY) $(VENV)/.ready-bench $(VENV)/.ready-box2d ## train PPO and SAC agents by stable-baselines3 (half an hour), then zoo on them, with students of 16 units
	@$(RUN) -m tools.sb3

bench-train: $(VENV)/.ready-bench ## steps per second and time to solve CartPole against a plain loop and stable-baselines3
records: $(VENV)/.ready-box2d $(VENV)/.ready-mujoco ## control in the fewest gates: TASK='mountaincar lunarlander', five seeds each, to the netlist, beside what others published; resumable, PUBLISHED=1 for the kept lines
bench-ppo: $(VENV)/.ready-bench $(VENV)/.ready-box2d $(VENV)/.ready-mujoco ## TRAINER=ppo beside stable-baselines3's PPO and the bare environment: steps per second, returns against time

$(VERBS): $(READY) $(if $(call asked,ice40 icebreaker),$(VENV)/.ready-ice40) $(if $(call asked,gowin tangnano),$(VENV)/.ready-gowin)
	@$(RUN) -m hls4rl $@

crown: $(DEV) ## every form of policy (depths 0 to 3, all action spaces): each executor and the simulated board on 100,000 visited observations; resumable
	@$(RUN) -m tools.crown

fuzz: $(READY) ## random networks and graphs through every conversion, damaged files, frames and artefacts, hostile boards, environments and tasks
	@PYTHONPATH=. $(RUN) tests/fuzz/run.py

bench-shells: $(DEV) ## every bus around cores of every kind: 100,000 random transactions each, with pauses, resets, bad packets
	@$(RUN) -m tools.shell_benches

bench-cocotb: $(DEV) $(VENV)/.ready-cocotb ## every bus judged by others: cocotbext-axi and cocotbext-wishbone on Verilator, 100,000 transactions each
	@$(RUN) -m tools.cocotb_benches

prove-shells: $(DEV) ## the rules of every bus by SAT, for the shells and for shells that are broken on purpose
	@$(RUN) -m tools.shell_proofs

kill-test: $(DEV) ## SIGKILL make synth and make paper at 50 random moments each; end each command in 9 ways and count orphans
	@$(RUN) -m tools.faults
	@$(RUN) -m tools.orphans

reproduce: $(READY) ## run make synth twice, in two places, and compare every artefact by its hash
	@$(RUN) -m tools.reproduce

test: $(DEV) ## run the tests (pytest)
	@$(RUN) -m pytest

coverage: $(DEV) ## the tests, and which lines of our own code they ran, in subprocesses too; fails below 90 %
	@mkdir -p build/coverage
	@$(RUN) -m pytest --cov --cov-report=term-missing

api: $(DEV) ## pages of every module, class and function, from the docstrings, in build/api
	@$(RUN) -m tools.api

lint: $(DEV) ## ruff, mypy, which package may import which, and Verilator over all Verilog
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache
	@$(RUN) -m tools.verilog_lint

$(TOOLS)/bin/pip-audit: constraints.txt
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt pip-audit pip-licenses uv

audit: $(DEV) $(TOOLS)/bin/pip-audit ## ask the index for known weaknesses of the pinned versions
	@$(RUN) -m tools.supply_chain audit $(TOOLS)/bin

licences: $(DEV) $(TOOLS)/bin/pip-audit ## list the licences of what we depend on: docs/licences.md
	@$(RUN) -m tools.supply_chain licences $(TOOLS)/bin

lock: $(TOOLS)/bin/pip-audit ## write requirements*.lock, the hashes of all files of the versions in constraints.txt
	@$(PYTHON) tools/locks.py $(TOOLS)/bin/uv "$(UNLOCKED)" $(EXTRAS)

clean: ## remove generated runs (not the virtual environment)
	rm -rf runs/*/*-h*-s* $(foreach kind,html json md,runs/report.$(kind) runs/*/report.$(kind)) build
