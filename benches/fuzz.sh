#!/usr/bin/env bash
# Feeds each reader with hostile bytes: benches/fuzz.sh [SECONDS FOR EACH] [TARGET…]. Needs `cargo install cargo-fuzz` and a
# nightly toolchain.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-300}"
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(plan state database inventory events)
for target in "${targets[@]}"; do
  mkdir -p "fuzz/corpus/$target"
  if [ "$target" = inventory ]; then
    for sample in inventory/samples/valid/*/pool.yaml; do
      cp "$sample" "fuzz/corpus/inventory/$(basename "$(dirname "$sample")")"
    done
  fi
  cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -max_len=65536
done
