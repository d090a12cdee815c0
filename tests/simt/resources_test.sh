#!/usr/bin/env bash
# LABELS: slow
# No own kernel of the cuda device keeps anything in local memory, on any architecture.
set -euo pipefail
status=0
"$LOCKSTEP_SOURCE_DIR/tests/simt/resources" "$LOCKSTEP_BUILD_DIR" >"${TMPDIR:-/tmp}/resources.$$" || status=$?
trap 'rm -f "${TMPDIR:-/tmp}/resources.$$"' EXIT
if [ "$status" = 77 ]; then
  echo "skipped: there is no nvcc"
  exit 77
fi
cat "${TMPDIR:-/tmp}/resources.$$"
[ "$status" = 0 ]
kernels=$(grep -c ' sm_80 ' "${TMPDIR:-/tmp}/resources.$$")
[ "$kernels" -ge 90 ] || { echo "expected at least 90 kernels for sm_80, found $kernels"; exit 1; }
