#!/usr/bin/env bash
# Writes requirements/*.txt from *.in: exact versions for every platform and Python, each with its hashes.
# `make lock` keeps the pins that still fit; `make lock ARGS=--upgrade` moves all of them.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$1
shift

lock() { # lock <name> <input>... : <name>.txt holds everything its inputs need
  local name=$1 inputs=() input
  shift
  for input in "$@"; do inputs+=("requirements/$input"); done
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-header --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
    --output-file "requirements/$name.txt" "${flags[@]}" "${inputs[@]}"
}

flags=("$@")
lock runtime runtime.in
lock build build.in
lock lock lock.in
lock sdk sdk.in
lock sdk-previous sdk-previous.in
# What runs in production is what is tested and measured: these never move a pin of runtime.txt.
flags+=(--constraints requirements/runtime.txt)
lock dev runtime.in dev.in
lock bench runtime.in bench.in
# The demo shares its environment with the tests, so it takes their pins.
flags+=(--constraints requirements/dev.txt)
lock demo runtime.in demo.in
