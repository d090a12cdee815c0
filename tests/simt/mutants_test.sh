#!/usr/bin/env bash
# LABELS: slow
# The tests of the own kernels notice mistakes: each mutant of a kernel, a barrier less or a bound off by one, fails them.
set -euo pipefail
cd "$LOCKSTEP_SOURCE_DIR"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=/dev/null
. "$LOCKSTEP_BUILD_DIR/tests/simt/mutants.env"

# build SOURCE: tests whose kernels of this source come from the copy in $work/cuda
build() {
  # shellcheck disable=SC2086
  "$CXX" -std=c++20 -O1 -x c++ $options -I "$work/cuda" -I framework -I "$LOCKSTEP_BUILD_DIR/include" \
    -c -o "$work/mutant.o" "$work/cuda/$1" &&
    "$CXX" -fsanitize=address,undefined -o "$work/tests" "$work/mutant.o" $objects $libraries \
      -Wl,-rpath,"$library_folder"
}

fresh_copy() {
  rm -rf "$work/cuda"
  cp -r plugins/devices/cuda "$work/cuda"
}

# What is not changed passes: no mutant fails for another reason.
fresh_copy
build loss.cu
"$work/tests" --gtest_brief=1 --gtest_filter='*/softmax_cross_entropy_*' >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }

caught=0
# name | file | sed expression that changes one line | source to compile | tests that must fail
while IFS='|' read -r name file change source filter; do
  fresh_copy
  sed -i -E "$change" "$work/cuda/$file"
  changed=$(diff "plugins/devices/cuda/$file" "$work/cuda/$file" | grep -c '^[<]' || true)
  [ "$changed" = 1 ] || { echo "$name: changes $changed lines of $file, expected 1"; exit 1; }
  build "$source" >"$work/out" 2>&1 || { cat "$work/out"; echo "$name: does not build"; exit 1; }
  status=0
  "$work/tests" --gtest_brief=1 --gtest_filter="$filter" >"$work/out" 2>&1 || status=$?
  if [ "$status" = 0 ]; then
    cat "$work/out"
    echo "$name: no test of $filter fails"
    exit 1
  fi
  how=$(grep -oE 'simt: .*|AddressSanitizer: [a-z-]*|runtime error: .*|another order of threads or layout|other bits' "$work/out" | head -1 || true)
  echo "caught: $name (${how:-other numbers})"
  caught=$((caught + 1))
done <<'MUTANTS'
block reduction without its first barrier|reduce.cuh|0,/__syncthreads/s/  __syncthreads\(\);//|loss.cu|*/softmax_cross_entropy_*
block reduction without its last barrier|reduce.cuh|/combine\(result, partial/{n;s/  __syncthreads\(\);//}|loss.cu|*/softmax_cross_entropy_*:*/classification_metrics_*
warp reduction over half of the lanes|reduce.cuh|s/lanes = simt::kWarp \/ 2;/lanes = simt::kWarp \/ 4;/|loss.cu|*/softmax_cross_entropy_*
sums of columns read before they are written|sums.cuh|0,/__syncthreads/s/      __syncthreads\(\);//|statistics.cu|*/batch_norm_apply_*:RowsTest.*
sums of columns without a block's last row|sums.cuh|s/y < blockDim.y; /y + 1 < blockDim.y; /|statistics.cu|*/batch_norm_apply_*:RowsTest.*
a row behind the last|columns.cuh|s/row < columns.rows;/row <= columns.rows;/|statistics.cu|*/batch_norm_apply_*:RowsTest.*
tile written before it is read whole|transpose.cu|0,/__syncthreads/s/    __syncthreads\(\);//|transpose.cu|FilterTest.*:*/add_*
a channel behind the last of a tile|transpose.cu|s/channel \+ c < t.stored_channels/channel + c <= t.stored_channels/|transpose.cu|FilterTest.*
a class behind the last|loss.cu|0,/k < classes/s/k < classes/k <= classes/|loss.cu|*/softmax_cross_entropy_*
a label's tie counted against it|loss.cu|s/k < label\)/k <= label)/|loss.cu|*/classification_metrics_*
the last of equal maxima|max_pool.cu|s/values\[k\] > best\[k\]/values[k] >= best[k]/|max_pool.cu|*/max_pool2d_*
a window behind the last|windows.cuh|s/last \+ 1 < windows \? last \+ 1 : windows/last + 1/|max_pool.cu|*/max_pool2d_*
dropout past a sample's end|dropout.cu|s/if \(4 \* quad \+ k >= mask.elements\) break;//|dropout.cu|*/dropout_*
a norm without its last elements|update.cu|s/int64_t i = 4 \* fours \+ thread_number\(\); i < count/int64_t i = 4 * fours + thread_number(); i + 1 < count/|update.cu|ArenaTest.*
MUTANTS
[ "$caught" -ge 12 ] || { echo "expected 12 mutants, found $caught"; exit 1; }
