#!/usr/bin/env bash
# LABELS: perf
# The benchmark runs and prints what it is for, with PyTorch where $LOCKSTEP_TORCH_PYTHON names a
# Python that has it. No time is judged here.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: there is no python3"; exit 77; }
compare=$LOCKSTEP_SOURCE_DIR/tests/benchmark/compare
out=$("$compare" c18-evaluation --pairs 2 --steps 1 --build "$LOCKSTEP_BUILD_DIR")
echo "$out"
for line in 'images/s, peak host memory' 'executor overhead' conv2d_inference; do
  grep -q "$line" <<<"$out" || { echo "failed: no line with '$line'"; exit 1; }
done
out=$("$compare" resnet20 --pairs 2 --steps 1 --build "$LOCKSTEP_BUILD_DIR")
echo "$out"
for line in 'images/s, peak host memory' 'start to first launch' 'executor overhead' conv2d_grad; do
  grep -q "$line" <<<"$out" || { echo "failed: no line with '$line'"; exit 1; }
done

# Without a GPU every part of on_gpu that needs one says so.
[ ! -e /dev/nvidiactl ] || exit 0
out=$("$LOCKSTEP_SOURCE_DIR/tests/benchmark/on_gpu" "$LOCKSTEP_BUILD_DIR") && { echo "failed: no GPU, but all passed"; exit 1; }
echo "$out"
grep -q '^failed: machine .* selftest (5)' <<<"$out" || { echo "failed: expected 'failed: … selftest (5)'"; exit 1; }
