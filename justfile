# The one door. `just` lists what there is.

# Arguments reach a recipe's commands as "$@", each whole.
set positional-arguments

target := arch() + "-unknown-linux-gnu"

_list:
    @just --list --unsorted

# Everything that a change must pass: the same as continuous integration.
check:
    .ci/run

# All tests.
test *args:
    cargo test --workspace {{ args }}

# The arena and what stands in it under the address and the thread sanitizer. Both need flags that stable Rust hides.
sanitize: sanitize-address sanitize-thread

sanitize-address:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" \
        cargo test -p tanist-db-core --lib --features page-heap --target {{ target }} --target-dir target/sanitize-address -- \
        arena:: keyspace:: structure::

# One test at a time: the sanitizer does not see that one test's pages were unmapped before another got their addresses.
sanitize-thread:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" \
    TSAN_OPTIONS="suppressions={{ justfile_directory() }}/db-core/thread-sanitizer.supp" \
        cargo test -p tanist-db-core --lib --target {{ target }} --target-dir target/sanitize-thread -- \
        arena:: keyspace::tests::transfer_in_another_thread --test-threads 1

# Long rounds of the tests with real processes: kills, lost hosts, switchovers, restarts.
whole-path rounds="100":
    TANIST_ROUNDS={{ rounds }} cargo test --release --test whole_path -- --nocapture

# redis-py, ioredis, node-redis and Rust's redis with a running pair. Needs python3 with venv; installs the clients into target/.
stock-clients:
    tests/stock_clients/install.sh
    TANIST_NO_SKIPS=1 cargo test --test whole_path stock_clients -- --nocapture

# The same clients behind HAProxy, over 20 switchovers and 10 kills under load: docs/balancers.md.
balancers switchovers="20" kills="10":
    tests/stock_clients/install.sh
    TANIST_NO_SKIPS=1 TANIST_ROUNDS={{ switchovers }} cargo test --test whole_path balancer_do_not_notice -- --nocapture
    TANIST_NO_SKIPS=1 TANIST_ROUNDS={{ kills }} cargo test --test whole_path balancer_go_on_after_a_kill -- --nocapture

# What tair-pulse sees of a switchover and of a kill, beside Redis with Sentinel: two minutes. Needs python3 with venv, redis-server, haproxy.
pulse picture="docs/pulse.svg":
    cargo build --release
    python3 -m venv target/pulse
    target/pulse/bin/python3 -m pip install --quiet --requirement bench/pulse/requirements.txt
    PATH="$PATH:/usr/sbin" target/pulse/bin/python3 bench/pulse/pulse.py target/release/tanist {{ picture }}

# Takeovers by fault, as many of each, into docs/takeover-times.md: half an hour for 200 on a machine that does nothing else. As root
# its hosts have network namespaces; otherwise nothing can be cut off.
takeovers rounds="200":
    cargo build --release
    rm -rf target/takeovers
    TANIST_ROUNDS={{ rounds }} TANIST_TAKEOVERS_BOOK=docs TANIST_PROGRAM=target/release/tanist \
        cargo test --test cluster -- --nocapture takeovers_by_fault

# Long rounds of the tests that kill, stop and cut off the parts of a cluster.
cluster rounds="20":
    TANIST_ROUNDS={{ rounds }} cargo test --test cluster -- --nocapture

# An upgrade of a cluster from an ordinary build to one of the next feature level, under load.
upgrade:
    tests/upgrade.sh

# Stalls on a busy machine, for so long: no takeover that was not needed.
soak seconds="600":
    cargo build --release
    TANIST_SOAK_SECONDS={{ seconds }} TANIST_PROGRAM=target/release/tanist \
        cargo test --test cluster -- --nocapture stalls_on_a_busy_machine

# Commands that hold all shards under a mixed load, for so long: no takeover.
long-commands seconds="60":
    cargo build --release
    TANIST_LONG_SECONDS={{ seconds }} TANIST_PROGRAM=target/release/tanist \
        cargo test --test cluster -- --nocapture long_commands

# Every order of events of a small cluster, in larger bounds than usual: some minutes and a few GB.
model:
    TANIST_MODEL_LONGER=1 cargo test --release -p tanist-replication --lib exhaustive:: -- --nocapture --test-threads 1

# The vault on disks that fail it, so many times as much as usual.
faults rounds="50":
    TANIST_FAULT_ROUNDS={{ rounds }} cargo test --release -p tanist-replication --lib vault::faults -- --nocapture

# Fuzzes one reader of foreign bytes: resp, redo, image, wire, client, rdb, restore, hyperloglog, config. Needs `cargo install cargo-fuzz`. Unsafe code has `sanitize`.
fuzz target seconds="60":
    cargo run --quiet -p tanist-hostile --example seeds -- {{ target }} target/fuzz/{{ target }}
    cd tests/fuzz && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=../../target/fuzz-build cargo fuzz run --fuzz-dir . --sanitizer none {{ target }} \
        ../../target/fuzz/{{ target }} -- -max_total_time={{ seconds }} -timeout=10 -rss_limit_mb=4096 -max_len=65536

# Whole clusters under seeded faults, in simulated time: `just sim --seeds 10000`, `just sim --seed 42` to read along.
sim *args:
    cargo run --quiet -p tanist-sim -- "$@"

# The same with one of the planted bugs: `just sim-bug --bug 'sync skipped' --seed 5`; `just sim-bug --bug list` names all.
sim-bug *args:
    cargo run --quiet -p tanist-sim --features planted-bugs -- "$@"

# Do the simulator's oracles see? A table of planted bugs: seeds until found, and by which oracle.
planted:
    cargo test --quiet -p tanist-sim --features planted-bugs --test planted -- --nocapture

# Lines that the tests of replication and the simulator run. Needs `cargo install cargo-llvm-cov` and the llvm tools of rustc's version.
coverage:
    cargo llvm-cov -p tanist-replication -p tanist-sim --summary-only

# Do the tests see changes of the code of lease, roles, log and vault? Hours; `--shard 1/4` for a part. Needs `cargo install cargo-mutants`.
mutants *args:
    cargo mutants -p tanist-replication --timeout 40 \
        -f 'replication/src/lease/*.rs' -f 'replication/src/role/machine.rs' -f 'replication/src/role/term.rs' \
        -f 'replication/src/role/promotion.rs' -f 'replication/src/role/switchover.rs' \
        -f 'replication/src/vault/log/mod.rs' -f 'replication/src/vault/log/recover.rs' \
        -f 'replication/src/vault/lease/authority.rs' -f 'replication/src/vault/lease/authority/append.rs' \
        {{ args }} -- --lib -- lease:: role:: vault:: --skip exhaustive

# Instructions per GET, SET and SET on a frozen page, each within its bound. Needs valgrind.
instructions *args:
    cargo run --quiet -p tanist-bench -- instructions --check {{ args }}

# Beside the neighbours on this machine, taking turns, into docs/benchmarks.md: two to three hours on a machine that does nothing else.
bench: (bench-all "")

# The same with short turns and small data: shows that all of it works, not how fast anything is. Not into the book.
bench-quick: (bench-all "quick")

# One part of it: throughput, collections, durable, forwarding, image, worst, load-image, memory, connections, micro, instructions, summary; `just bench-one NAME --help`.
bench-one name *args: bench-build
    {{ bench }} {{ name }} {{ args }}

bench := "cargo run --quiet --release -p tanist-bench --"

[private]
bench-build:
    cargo build --release
    cargo build --release -p tanist-bench

[private]
bench-all how: bench-build
    #!/usr/bin/env bash
    set -euo pipefail
    bench="{{ bench }}"
    if [ "{{ how }}" = quick ]; then
        short="--turns 1 --seconds 1 --warm-up 0.3 --results target/bench/quick"
        $bench throughput $short --keys 100000 --value-bytes 100
        $bench collections $short --small 10000 --large 100000 --long 1000000
        $bench durable $short --keys 10000
        $bench forwarding $short --keys 10000
        $bench image $short --gigabytes 0.1 --interval 40
        $bench worst $short --interval 3 --snapshots 1 --elements 100000 --megabytes 16
        $bench load-image $short --gigabytes 0.1
        $bench memory $short --keys 100000 --churn 200000
        $bench connections $short --idle 1000 --active 100
        $bench micro $short --keys 100000
        $bench instructions $short
        $bench summary $short
    else
        $bench throughput --keys 1000000,10000000 --book docs
        $bench collections --book docs
        $bench durable --book docs
        $bench forwarding --book docs
        $bench image --gigabytes 1,5 --book docs
        $bench worst --book docs
        $bench load-image --gigabytes 1,5 --book docs
        $bench memory --keys 1000000,10000000 --book docs
        $bench connections --book docs
        $bench micro --book docs
        $bench instructions --book docs
        $bench summary --book docs
    fi

# Format all code.
fmt:
    cargo fmt --all

# A cluster on this machine: vault, primary, standby.
up *args:
    cargo run --release -- up {{ args }}
