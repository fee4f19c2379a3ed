# RosterDB: targets for people and for continuous integration (.ci/run).
# `make` alone lists them.

GO     ?= go
# Where the load generators xmppload and kvload live; `make bench` builds them.
RULERS ?= ../shared/tools
# Further flags of bench-xmpp, bench-store, bench-scale and bench-cluster, such as -quick.
BENCHFLAGS ?=
# How long each fuzz target runs.
FUZZTIME ?= 10s

# Built and then run: `go run` turns every exit code but 0 into 1.
BUILD_RINGCTL = echo 'compiling; the first time this downloads modules and takes a minute or some' >&2; $(GO) build -o bin/ringctl ./cli/ringctl

.DEFAULT_GOAL := help
.PHONY: help build demo smoke test unit race e2e interop chaos mutants sim soak failover freeze flood mission bench bench-xmpp bench-store bench-scale bench-cluster bench-apply lint fmt fuzz vuln clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ringctl, xmppd and datanode into bin/
	@echo 'compiling; the first time this downloads modules and takes a minute or some' >&2
	$(GO) build -o bin/ ./cli/...

demo: ## start a cluster, load real data, kill a node, and look around (ctrl-C ends it)
	@$(BUILD_RINGCTL)
	@trap : INT; bin/ringctl demo || test $$? -eq 130

smoke: ## the demo without staying; one JSON line at the end
	@$(BUILD_RINGCTL)
	@bin/ringctl demo --smoke -o json

test: unit race e2e interop ## the tests: unit, race detector, processes, foreign clients; some 25 minutes on 2 cores

# Servers and nodes in one process, where goroutines meet in each test and wait for each other most of the time: race
# runs these, and unit would only repeat it. Where there is no race detector unit runs them.
CGO := $(shell $(GO) env CGO_ENABLED)
TOGETHER := -e rosterdb/xmppd$$ -e /xmppd/store/replicated$$ -e /test/cluster$$
# All packages but those, and those whose tests are about processes: e2e (with chaos and soak), interop and mission run them.
UNIT = $(shell $(GO) list ./... | grep -v -e /test/chaos -e /test/soak -e /test/e2e -e /test/interop -e /test/mission $(if $(filter 1,$(CGO)),$(TOGETHER)))
# Where goroutines meet, what takes longest first. The simulator is single-threaded by design: no race to find.
RACE := ./xmppd/store/replicated ./xmppd ./test/cluster ./appclient/... ./datanode/... ./replication/... ./xmppd/... ./internal/...
# So are these of replication/state, which go through thousands of cases: unit runs them.
SINGLE := ^(TestAgainstModel|TestSnapshotDamaged|TestFlippedBits|TestDamagedPages)$$
# How many packages are tested at once: most of a test's time is waiting.
AT_ONCE := 3
# A bound for what hangs, of one package: machines may be several times slower than one that takes five minutes for it.
TIMEOUT := -timeout 30m

unit: ## tests within one process
	@echo '$(GO) test (all packages but those of race, e2e, interop and mission), $(GO) test ./xmppd -io goroutine'
	@$(GO) test $(TIMEOUT) ./xmppd -io goroutine & other=$$!; \
	$(GO) test $(TIMEOUT) -p $$(($(AT_ONCE) - 1)) ./test/sim $(UNIT); failed=$$?; wait $$other && exit $$failed

race: ## tests of the concurrent packages under the race detector
	@if [ "$(CGO)" = 1 ]; then \
		echo '$(GO) test -race $(RACE)'; GORACE=atexit_sleep_ms=0 $(GO) test $(TIMEOUT) -race -p $(AT_ONCE) -skip '$(SINGLE)' $(RACE); \
	else \
		echo 'race detector: not run, it needs a C compiler and there is none here'; \
	fi

# TestPlants is left to `make mutants`. -v for what chaos has done, and what it cannot do on this machine.
e2e: ## tests over real processes, a short run of chaos among them
	$(GO) test $(TIMEOUT) ./test/e2e/... ./test/chaos/failover ./test/chaos/run ./test/soak
	$(GO) test $(TIMEOUT) -v -skip '^TestPlants$$' ./test/chaos

# -v for the notices of what is skipped, -count=1 since the cache knows nothing of the clients.
interop: ## clients of other projects against xmppd, those that are installed (test/interop/install.sh)
	$(GO) test $(TIMEOUT) -count=1 -v ./test/interop/...

# SEED=, NODES= and FLAGS= (-servers 1; as `go run ./test/chaos/run -help` lists them) say more.
chaos: ## a cluster of processes suffers for DURATION (5m): faults and ring changes at random, power cuts among them; lost and doubled must be 0
	@$(GO) run ./test/chaos/run -duration $(or $(DURATION),5m) -seed $(or $(SEED),0) -nodes $(or $(NODES),3) $(FLAGS)

# SEED= is the first of SEEDS=; after WITHIN= (90s, say) only the first LEAST= begin. FLAGS=-v tells all that happens in one.
sim: ## the engine under SEEDS (2000) seeds of faults and ring changes, in a simulated world, on all cores; violations must be 0
	@$(GO) run ./test/sim/run -first $(or $(SEED),1) -seeds $(or $(SEEDS),2000) -within $(or $(WITHIN),0) -least $(or $(LEAST),0) $(FLAGS)

mutants: ## plants mistakes into the store and shows the test that notices each
	@$(GO) run ./test/mutants

soak: ## steady work for DURATION (30m): memory, disk, descriptors and goroutines must come to a plateau
	@$(GO) run ./test/soak -duration $(or $(DURATION),30m) $(FLAGS)

failover: ## kills leaders under writers, 20 times: longest gap of each, at most 500 ms (FLAGS=-within); FLAGS="-kill server", "-stop server": XMPP servers
	@$(GO) run ./test/chaos/failover $(FLAGS)

freeze: ## stops one of three servers by SIGSTOP for DURATION (100s): nothing may hang, vanish or come twice
	@$(GO) test -count=1 -v -timeout 20m ./test/e2e -run '^TestFrozenServer$$' -freeze $(or $(DURATION),100s)

flood: ## one connection floods a data node for DURATION (1m) in each of six ways: others must go on, and sessions of data nodes stay
	@$(GO) test -count=1 -v -timeout 1h ./test/e2e -run '^TestFloods$$' -flood $(or $(DURATION),1m)

mission: ## one line a capability: works, or todo
	@cd test/mission && $(GO) test $(TIMEOUT) -count=1 -run TestMission -report

bench: ## measure xmppd and the store with the rulers in RULERS
	@$(GO) run ./test/bench -rulers $(RULERS)

bench-xmpp: ## measure xmppd beside ejabberd and Prosody, where they are installed
	@$(GO) run ./test/bench -only peers -rulers $(RULERS) $(BENCHFLAGS)

bench-store: ## measure the store beside etcd, NATS and Redis, with the gates it has to meet
	@$(GO) run ./test/bench -only store -rulers $(RULERS) $(BENCHFLAGS)

bench-scale: ## measure what more objects, partitions and data nodes cost; ten million objects need 40 GB of disk
	@$(GO) run ./test/bench -only scale -rulers $(RULERS) $(BENCHFLAGS)

bench-cluster: ## measure several servers of one domain beside two nodes of ejabberd, with the gates they have to meet; ten minutes
	@$(GO) run ./test/bench -only cluster -rulers $(RULERS) $(BENCHFLAGS)

bench-apply: ## what history, index and expiry cost when an entry is applied, by benchstat; COUNT runs (6)
	@out=$$(mktemp) && trap 'rm -f "$$out"' EXIT && \
	$(GO) test ./replication/state -run '^$$' -bench ApplyKeeping -benchtime 40000x -count $(or $(COUNT),6) >"$$out" && \
	$(GO) run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da -col /keeps "$$out"

lint: ## gofumpt, vet, staticcheck
	@out=$$($(GO) tool gofumpt -l .); test -z "$$out" || { echo "not gofumpt-clean (make fmt):"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

fmt: ## format all Go files
	$(GO) tool gofumpt -w .

fuzz: ## run every fuzz target for FUZZTIME
	@GO=$(GO) FUZZTIME=$(FUZZTIME) ./test/fuzz.sh

vuln: ## look for known vulnerabilities, where the database can be reached
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

clean: ## remove what build has made
	rm -rf bin
