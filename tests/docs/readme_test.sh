#!/usr/bin/env bash
# What the README shows is what is in the tree: the recipe, the plugin, the error, and commands that only look.
set -euo pipefail
cd "$LOCKSTEP_SOURCE_DIR"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# block LANGUAGE: the first fenced block of that language
block() { awk -v fence="\`\`\`$1" '$0 == fence { inside = 1; next } /^```/ { if (inside) exit } inside' README.md; }

diff <(block toml) recipes/cifar10/resnet18.toml
diff <(block cpp) plugins/optimizers/sgd.cpp

# The error message, from a recipe with that mistake in that place.
printf '[model]\nname = "resnet"\n[data]\nname = "shapes"\n[train]\nepoch = 3\n' >"$work/my.toml"
status=0
message=$(cd "$work" && "$LOCKSTEP_BINARY" train my.toml 2>&1) || status=$?
[ "$status" = 2 ] || { echo "expected exit status 2, not $status"; exit 1; }
grep -qxF -- "$message" README.md || { echo "the README does not show: $message"; exit 1; }

# Commands that need neither data nor training.
commands=0
while read -r line; do
  command=${line%%#*}
  command=${command#build/bin/lockstep }
  # shellcheck disable=SC2086
  LOCKSTEP_DATA='' "$LOCKSTEP_BINARY" $command >"$work/out" || { echo "failed: $line"; exit 1; }
  [ -s "$work/out" ] || { echo "printed nothing: $line"; exit 1; }
  commands=$((commands + 1))
done < <(grep -E '^build/bin/lockstep (check|summary|list|describe)' README.md)
[ "$commands" -ge 5 ] || { echo "expected five commands in the README, found $commands"; exit 1; }
