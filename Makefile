# Two commands are enough on a fresh Debian or Ubuntu with a Rust toolchain:
#
#   make demo     a real mailbox, a private PostgreSQL, citizens' letters in their sectors' queues, with the reasons
#   make test     everything that must hold, with a summary
#
# Both install what is missing (apt; they say what), build and run. `make` alone lists the rest.

CARGO ?= cargo
# The database schema is checked at compile time against the committed .sqlx/, never against a server.
export SQLX_OFFLINE = true

# The dev profile: what is built is shared with `make test`, and the first look does not wait for an optimised build.
# Run as built, not with `cargo run`: for one package alone cargo chooses other features, and builds half of it again.
BUILT      = $${CARGO_TARGET_DIR:-target}
DEMO_RUN  ?= $(BUILT)/debug/smista-demo
CHAOS_RUN ?= $(BUILT)/release/smista-chaos
BENCH_RUN ?= $(BUILT)/release/smista-bench
# Arguments for the program behind demo, chaos, bench, fuzz: make chaos ARGS="--rounds 20"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check fmt chaos bench corpora fuzz build install clean

help: ## this list
	@echo 'smista: make ...'
	@sed -n 's/^\([a-z]*\): .*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

demo: ## citizens' letters from a real mailbox into the queues of their sectors; leaves nothing behind
	@deploy/dev/install-deps.sh demo
	@echo 'smista: building (a few minutes the first time)'
	@$(CARGO) build --locked -p smista -p smista-testkit
	@$(DEMO_RUN) $(ARGS)

test: ## format, lints, deployment files, every test; prints a summary
	@deploy/dev/install-deps.sh test
	@CARGO='$(CARGO)' deploy/dev/test.sh all

check: ## format, lints and deployment files only
	@deploy/dev/install-deps.sh build
	@CARGO='$(CARGO)' deploy/dev/test.sh check

fmt: ## formats the code
	@$(CARGO) fmt --all

chaos: ## long: kill -9 at random moments, 200 times per policy
	@deploy/dev/install-deps.sh test
	@$(CARGO) build --locked --release -p smista -p smista-testkit
	@$(CHAOS_RUN) $(ARGS)

bench: ## long: messages per second from mailbox to queue, beside Python's imaplib
	@deploy/dev/install-deps.sh bench
	@$(CARGO) build --locked --release -p smista -p smista-testkit
	@$(CARGO) build --locked --release -p smista-triage --example decisions
	@$(BENCH_RUN) $(ARGS)

corpora: ## long, asks package registries: thousands of other projects' letters through import mail, counted and compared
	@deploy/dev/install-deps.sh corpora
	@$(CARGO) build --locked --workspace --bin smista --example readings
	@python3 tests/corpora/fetch.py $(BUILT)/corpora
	@python3 tests/corpora/check.py $(BUILT)/debug/smista $(BUILT)/debug/examples/readings $(BUILT)/corpora
	@python3 tests/corpora/compare.py $(BUILT)/corpora

fuzz: ## long: bytes that want to break the readers, a minute per target; ARGS="--seconds 600 mime"
	@deploy/dev/install-deps.sh fuzz
	@CARGO='$(CARGO)' deploy/dev/fuzz.sh $(ARGS)

build: ## the program for installing: target/release/smista
	@deploy/dev/install-deps.sh build
	@$(CARGO) build --locked --release -p smista

install: ## as root, after `make build`: program, unit, user, directories, documents; starts nothing
	@DESTDIR='$(DESTDIR)' deploy/install.sh

clean: ## removes what was built
	@$(CARGO) clean
