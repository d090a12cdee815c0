#!/usr/bin/env bash
# LABELS: unit
# An installed tree works after it was moved, and a project outside of this one builds a plugin with it and trains.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "failed: $1"; exit 1; }

"$CMAKE" --install "$LOCKSTEP_BUILD_DIR" --prefix "$work/first" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
mv "$work/first" "$work/prefix"
prefix=$work/prefix
for path in bin/lockstep include/lockstep/plugin.hpp share/lockstep/recipes; do
  [ -e "$prefix/$path" ] || fail "$path is not installed"
done
if grep -rlE "$LOCKSTEP_BUILD_DIR|$LOCKSTEP_SOURCE_DIR|$work/first" "$prefix" --include='*.cmake' --include='*.h*'; then
  fail "these files name folders of the build"
fi
find "$prefix" \( -name '*.so' -o -name lockstep -type f \) -exec readelf -d {} + >"$work/dynamic"
if grep -E 'R(UN)?PATH' "$work/dynamic" | grep "$LOCKSTEP_BUILD_DIR"; then
  fail "a library is looked for in the build folder"
fi

unset LOCKSTEP_PLUGIN_PATH
"$prefix/bin/lockstep" list >"$work/list" || fail "the moved command does not run"
grep -q '^  resnet ' "$work/list" || { cat "$work/list"; fail "the moved command does not find its plugins"; }

# Where optimizers here have twins for GPUs, so have those of the project.
nvcc=$(sed -n 's/^CMAKE_CUDA_COMPILER:[A-Z]*=//p' "$LOCKSTEP_BUILD_DIR/CMakeCache.txt")
twin=$(find "$prefix" -name sgd.cuda.so)
"$CMAKE" -S "$LOCKSTEP_SOURCE_DIR/tests/install/consumer" -B "$work/consumer" -DCMAKE_BUILD_TYPE=Release \
  ${twin:+"-DCMAKE_CUDA_COMPILER=$nvcc"} \
  -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_FLAGS="${LOCKSTEP_CXX_FLAGS:-}" \
  -DCMAKE_PREFIX_PATH="$prefix" >"$work/configure.log" 2>&1 || { cat "$work/configure.log"; fail "find_package"; }
"$CMAKE" --build "$work/consumer" >"$work/build.log" 2>&1 || { cat "$work/build.log"; fail "the plugin does not build"; }

[ -z "$twin" ] || [ -e "$work/consumer/sign_sgd.cuda.so" ] || fail "sign_sgd has no twin"
[ -n "$twin" ] || [ ! -e "$work/consumer/sign_sgd.cuda.so" ] || fail "sign_sgd has a twin that nothing opens"

export LOCKSTEP_PLUGIN_PATH=$work/consumer
"$prefix/bin/lockstep" describe two_layers >"$work/describe" || fail "describe"
grep -q 'hidden .*= 32 ' "$work/describe" || { cat "$work/describe"; fail "describe does not show the option"; }

cd "$work"
"$prefix/bin/lockstep" train "$LOCKSTEP_SOURCE_DIR/tests/install/consumer/two_layers.toml" --output "$work/run" \
  --quiet || fail "training with the plugin"
[ "$(grep -c '"event": *"step"' "$work/run/metrics.jsonl")" = 3 ] || fail "expected three steps in metrics.jsonl"
