#!/usr/bin/env bash
# Resolves requirements/*.in into hash-locked *.txt files: for every platform, releases at least 14 days
# old (a trojaned release is usually found within days), no index address in the result.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$1
before=$(date -u -d "14 days ago" +%Y-%m-%d)
for name in runtime local node dev clients; do
  extra=()
  if [ "$name" = local ]; then extra=(--no-deps); fi
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-header --exclude-newer "$before" "${extra[@]}" \
    "requirements/$name.in" -o "requirements/$name.txt"
done
