# `make run` and `make test` are all that is needed; each does its own set-up.

GO ?= go
ARGS ?=
TAGS ?=

.PHONY: help run build release test test-temporal setup lint format bench bench-layers prove-protocol prove-fuzz prove-leaks prove-slow-reader prove-jitter prove-restart prove-kill prove-redis prove-payload prove-reports prove-workflow prove-chat

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build and start a server for development: ARGS="--addr 127.0.0.1:8080"
	@bin/roomcast serve --dev $(ARGS)

build: ## build bin/roomcast (TAGS=temporal adds the engine for Temporal)
	@$(GO) build -tags "$(TAGS)" -o bin/roomcast ./cmd/roomcast

release: ## build bin/roomcast with everything in it, small
	@$(GO) build -trimpath -tags temporal -ldflags "-s -w" -o bin/roomcast ./cmd/roomcast

test: setup build lint ## everything that must hold before a change lands
	@test/run

test-temporal: ## the engine for Temporal against a development server, which takes minutes to build the first time
	@test/temporal/build
	@$(GO) test -race -count 1 -timeout 15m -tags temporal,devserver ./internal/workflow/temporal -server $(CURDIR)/test/temporal/bin/temporal
	@$(GO) test -race -count 1 -tags temporal,devserver -run Temporal ./internal/app -server $(CURDIR)/test/temporal/bin/temporal

setup: ## install what the tests need: Debian packages as root, npm packages
	@test/setup

lint: ## vet, staticcheck and formatting
	@$(GO) vet ./...
	@$(GO) tool staticcheck ./...
	@$(GO) vet -race -tags temporal,devserver ./... # with what the tests compile
	@staticcheck=$$($(GO) tool -n staticcheck) && GOFLAGS=-race $$staticcheck -tags temporal,devserver ./internal/workflow/temporal/... ./internal/app/...
	@unformatted=$$($(GO) tool gofumpt -l .); test -z "$$unformatted" || { echo "not formatted, run make format:"; echo "$$unformatted"; exit 1; }

format: ## format the Go code
	@$(GO) tool gofumpt -w .

bench: ## compare with socket.io from npm, measure workflow runs, and write docs/benchmarks.md (ROUNDS=3)
	@$(GO) run ./test/bench -rounds $(or $(ROUNDS),3) -out docs/benchmarks.md

bench-layers: ## compare our WebSocket layer with libraries, as a Markdown table
	@cd test/bench/layers && $(GO) run .

prove-protocol: ## the official protocol suites: SUITES=<checkout of socket.io> ROUNDS=20
	@test/prove-protocol "$(SUITES)" "$(or $(ROUNDS),20)"

prove-fuzz: ## every fuzz target for a minute (SECONDS=60)
	@test/prove-fuzz "$(or $(SECONDS),60)"

prove-leaks: ## 20,000 clients that abort and 10,000 that fall silent leave nothing behind
	@$(GO) test -count 1 -v ./test/leaks -full

prove-slow-reader: ## a client that never reads costs its limit, and nobody else anything
	@$(GO) test -count 1 -v ./test/slowreader -full

prove-jitter: ## clients whose connections are cut all the time, beside socket.io from npm; writes docs/jitter.md (DURATION=5m)
	@$(GO) test -count 1 -v -timeout 2h ./test/jitter -full -duration $(or $(DURATION),5m) -out $(CURDIR)/docs/jitter.md

prove-restart: ## three instances are restarted one after the other under load, and nothing is lost
	@$(GO) test -count 1 -v -run RollingRestart ./test/faults -full

prove-kill: ## an instance is killed under load, and nothing is lost without a word
	@$(GO) test -count 1 -v -run Kill$$ ./test/faults -full

prove-redis: ## Redis is killed, paused and failed over under load, and nothing is lost without a word
	@$(GO) test -count 1 -v -run Redis -timeout 20m ./test/faults -full

prove-payload: ## 1 MiB published over HTTP arrives; 33 MiB are refused and harm nobody
	@$(GO) test -count 1 -v -run LargePayloads ./test/faults -full

prove-reports: ## an engine elsewhere reports 3,000 events while an instance is killed, and clients see each once, in order
	@$(GO) test -count 1 -v -run ReportsSurviveKills ./test/faults -full

prove-workflow: ## servers are killed 200 times under a load of runs, and every run ends as if they had not been (KILLS=200 SEED=1)
	@$(GO) test -count 1 -v -timeout 30m ./test/durability -full -kills $(or $(KILLS),200) -seed $(or $(SEED),1)

prove-chat: ## answers, stops, approvals and kills: whoever listens has all of it once, and what is approved is done once (SEED=1)
	@$(GO) test -count 1 -v -timeout 30m ./test/chat -full -seed $(or $(SEED),1)
