# `make help` lists the targets. Needed: Go, gcc (for SQLite), make, git; `make test` fetches what else it uses.

FUZZTIME ?= 30s
SOAKTIME ?= 10m
LINTER   := 2.15.0

.PHONY: help build kea-hook demo api test race e2e lint fuzz bench soak tools
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

build: ## bin/provisioner
	go build -o bin/provisioner ./cmd/provisioner

kea-hook: ## bin/libprovisioner_kea.so, for Kea (needs Debian's g++, kea-dev, libboost-dev)
	$(MAKE) -f boot/kea-hook/Makefile OUT=bin/libprovisioner_kea.so

demo: build ## the whole product with simulated machines (flags: make demo ARGS='--machines 50')
	bin/provisioner demo $(ARGS)

api:   ## docs/openapi.yaml, from the handlers of server/api
	go test ./server/api -run TestTheDocumentIsFresh -update

test:  ## every test, race detector on; installs missing Debian packages first
	test/packages.sh
	go test -race -timeout 20m ./...

race:  ## the tests of our own code only, race detector on, nothing installed
	go test -race $$(go list ./... | grep -v /test/)

e2e:   ## the end-to-end tests alone, with their log: all firmwares, bootloaders and DHCP servers
	test/packages.sh matrix
	go test -race -count=1 -timeout 90m -tags matrix -v ./test/e2e/...

lint: tools ## golangci-lint (gofmt and go vet are part of it), tidiness of go.mod
	bin/tools/golangci-lint-$(LINTER) run --allow-serial-runners
	go mod tidy -diff

fuzz:  ## every fuzz target, FUZZTIME (30s) each
	@grep -rno --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|\(.*\)/[^/]*:func \(.*\)|\1 \2|' | \
	  while read -r package target; do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "$$package" </dev/null || exit 1; \
	  done

bench: ## every benchmark, and docs/benchmarks.md: ours beside its peers (as root; about 12 minutes)
	test/packages.sh
	go test -run '^$$' -bench . -benchmem ./...
	go run ./test/bench -o docs/benchmarks.md
	@cat docs/benchmarks.md

soak:  ## 200 consoles, BMCs that restart, people who come and go, for SOAKTIME (10m), race detector on
	test/packages.sh
	SOAKTIME=$(SOAKTIME) go test -race -count=1 -timeout 0 -v ./test/soak

tools: bin/tools/golangci-lint-$(LINTER) ## the pinned linter, in bin/tools (about 3 minutes, once)

bin/tools/golangci-lint-$(LINTER):
	GOBIN=$(CURDIR)/bin/tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(LINTER)
	mv bin/tools/golangci-lint $@
