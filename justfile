# The one door. `just` lists what there is.

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

# Beside Debian's redis-server on this machine, alternating: ratios, and the server's processor time for a million commands.
bench *args:
    cargo build --release
    cargo run --release -p tanist-bench -- throughput {{ args }}

# Format all code.
fmt:
    cargo fmt --all

# A cluster on this machine: vault, primary, standby.
up *args:
    cargo run --release -- up {{ args }}
