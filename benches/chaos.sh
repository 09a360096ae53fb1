#!/usr/bin/env bash
# Random lives of random inventories under random trouble, for as long as is asked for: benches/chaos.sh [TIME] [FIRST SEED]
# A seed that fails is printed with the folder that it left; POOL_CHAOS_SEED=N repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."
POOL_CHAOS_FOR="${1:-2h}" POOL_CHAOS_FROM="${2:-1}" cargo test --release --test chaos -- --nocapture
