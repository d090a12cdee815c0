#!/usr/bin/env bash
# Python scripts are not built: at least they must be Python.
set -euo pipefail
command -v python3 >/dev/null || { echo "skipped: there is no python3"; exit 77; }
cd "$LOCKSTEP_SOURCE_DIR/tests"
mapfile -t scripts < <(ls ./*/*.py; grep -slE "^#!.*python3" ./*/* | cat)
[ "${#scripts[@]}" -ge 10 ] || { echo "failed: found ${#scripts[@]} scripts; expected at least 10"; exit 1; }
python3 -c '
import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path).read(), path)
' "${scripts[@]}"
echo "${#scripts[@]} scripts"
