#!/usr/bin/env bash
# An upgrade with two builds of what stands here: an ordinary one, and one of the next feature level. Both are built into the folder that
# the tests use, so that only the project's own packages are built twice.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
programs="$target/upgrade"
mkdir -p "$programs"

build() {
    local name="$1"
    shift
    cargo build "$@"
    cp "$target/debug/tanist" "$programs/$name.part"
    mv "$programs/$name.part" "$programs/$name"
}

build new --features next-level
build old

programs="$(cd "$programs" && pwd)"
TANIST_OLD_PROGRAM="$programs/old" TANIST_NEW_PROGRAM="$programs/new" cargo test --test cluster -- --nocapture upgrade::
