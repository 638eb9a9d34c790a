#!/usr/bin/env bash
# An upgrade with two builds of what stands here: an ordinary one, and one of the next feature level. Both are built as the tests are, in
# the same folder, so that only the project's own packages are built twice.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
programs="$target/upgrade"
mkdir -p "$programs"

build() {
    local name="$1"
    shift
    cargo test --workspace --test cluster --no-run "$@"
    cp "$target/debug/tanist" "$programs/$name.part"
    mv "$programs/$name.part" "$programs/$name"
}

build new --features next-level
# Last, so that the folder's own program is the ordinary one.
build old

programs="$(cd "$programs" && pwd)"
TANIST_OLD_PROGRAM="$programs/old" TANIST_NEW_PROGRAM="$programs/new" \
    cargo test --workspace --test cluster -- --nocapture upgrade::
