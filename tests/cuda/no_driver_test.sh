#!/usr/bin/env bash
# LABELS: unit
# NEEDS: cuda
# Without a driver, with the toolkit's stub, with a driver that has no device or is too old: the cuda device is listed,
# says in one line why it cannot be made, and "auto" takes the cpu.
set -euo pipefail
recipe=$LOCKSTEP_SOURCE_DIR/recipes/quickstart.toml
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export LOCKSTEP_PLAN_CACHE=

fail() { echo "FAILED: $*" >&2; exit 1; }

# check NAME TEXT [VARIABLE=VALUE …]: device "cuda" ends with exit code 5 and one line that has the text; auto works.
check() {
  local name=$1 text=$2 status=0
  shift 2
  env "$@" "$LOCKSTEP_BINARY" list devices >"$folder/list" 2>"$folder/refused" || fail "$name: list devices"
  grep -q '^  cuda ' "$folder/list" || fail "$name: cuda is not listed"
  [ ! -s "$folder/refused" ] || fail "$name: $(cat "$folder/refused")"
  env "$@" "$LOCKSTEP_BINARY" check "$recipe" --set device.name=cuda >"$folder/out" 2>"$folder/error" || status=$?
  [ "$status" = 5 ] || fail "$name: exit code $status: $(cat "$folder/error")"
  [ "$(wc -l <"$folder/error")" = 1 ] || fail "$name: more than a line: $(cat "$folder/error")"
  grep -qF "$text" "$folder/error" || fail "$name: expected '$text' in $(cat "$folder/error")"
  env "$@" "$LOCKSTEP_BINARY" check "$recipe" >"$folder/out" 2>&1 || fail "$name: auto: $(cat "$folder/out")"
  echo "$name: $(cat "$folder/error")"
}

null=$LOCKSTEP_BUILD_DIR/tests/null_driver
check "null driver" "found a driver but no GPU" LD_LIBRARY_PATH="$null"
check "hidden GPUs" "(CUDA_VISIBLE_DEVICES=7)" LD_LIBRARY_PATH="$null" CUDA_VISIBLE_DEVICES=7
check "old driver" "found a driver for CUDA 12.2; expected CUDA 13.0 or newer" \
  LD_LIBRARY_PATH="$null" LOCKSTEP_NULL_DRIVER_VERSION=12020

stub=$(dirname "$(command -v nvcc)")/../lib64/stubs/libcuda.so
if [ -f "$stub" ]; then
  mkdir "$folder/stub"
  ln -s "$stub" "$folder/stub/libcuda.so.1"
  check "stub" "the toolkit's stub" LD_LIBRARY_PATH="$folder/stub"
fi
if ldconfig -p | grep -q 'libcuda\.so\.1 '; then
  echo "no driver: not tried, for this machine has one"
else
  check "no driver" "found no NVIDIA driver" LD_LIBRARY_PATH=
fi

# What is built asks for no driver, and looks for none in the toolkit's stubs.
for plugin in "$LOCKSTEP_BUILD_DIR"/lib*/lockstep/plugins/*/*.so; do
  dynamic=$(readelf -d "$plugin")
  ! grep -q 'NEEDED.*libcuda\.so' <<<"$dynamic" || fail "$plugin is linked with the driver"
  ! grep -q 'R.*PATH.*stubs' <<<"$dynamic" || fail "$plugin has the stubs on its run path"
done
