#!/usr/bin/env bash
# Kills `pool` at every point of every shape (CI tries a sample) and counts what is left. Prints the number of kills.
set -euo pipefail
cd "$(dirname "$0")/.."
POOL_CRASH_STRIDE=1 cargo test --release --test it crash -- --nocapture
