#!/usr/bin/env bash
# The README's first command, exactly as it stands there, on a fresh clone of what is committed here: it must give a cluster that
# redis-cli can use, and end cleanly. Where its default ports are taken, set TANIST_PORT for this script.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
# Shared with the checkout, so that what both are built from is built once.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
# Longer than any build; only against hanging.
patience_s=1800

folder="$(mktemp -d)"
log="$folder/output"
up=

# Ends what is still running, in good order if it can.
stop() {
    [ -n "$up" ] || return 0
    kill -TERM "$up" 2>/dev/null || return 0
    for ((second = 0; second < 30; second++)); do
        kill -0 "$up" 2>/dev/null || return 0
        sleep 1
    done
    kill -KILL "$up" 2>/dev/null || true
}

finish() {
    local code=$?
    stop
    if [ "$code" -ne 0 ] && [ -e "$log" ]; then cat "$log" >&2; fi
    rm -rf "$folder"
    exit "$code"
}
trap finish EXIT
trap 'exit 1' INT TERM

fail() { printf 'readme.sh: %s\n' "$*" >&2; exit 1; }

git clone -q "$root" "$folder/clone"
cd "$folder/clone"
first="$(awk '/^```sh$/ { inside = 1; next } /^```$/ && inside { exit } inside' README.md)"
[ -n "$first" ] && [ "$(printf '%s\n' "$first" | wc -l)" -eq 1 ] || fail "the README's first block of commands is not one command: '$first'"
printf '$ %s\n' "$first"

bash -c "exec $first" >"$log" 2>&1 </dev/null &
up=$!
port=
for ((second = 0; second < patience_s; second++)); do
    port="$(sed -n 's/.* ready; use it: *redis-cli -p \([0-9]*\).*/\1/p' "$log")"
    [ -z "$port" ] || break
    kill -0 "$up" 2>/dev/null || fail "it ended before the cluster was ready"
    sleep 1
done
[ -n "$port" ] || fail "no cluster within $patience_s s"

[ "$(redis-cli -p "$port" set king Brian)" = OK ] || fail "SET was not acknowledged"
[ "$(redis-cli -p "$port" get king)" = Brian ] || fail "GET did not give what was set"

kill -TERM "$up"
code=0
wait "$up" || code=$?
up=
[ "$code" -eq 0 ] || fail "it ended with code $code"
printf 'ready on port %s, SET and GET answered, stopped with code 0\n' "$port"
