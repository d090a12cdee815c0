#!/usr/bin/env bash
# The commands of launch/README.md and of the README that start trainings are understood: each makes a plan.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$LOCKSTEP_SOURCE_DIR"
export LOCKSTEP=$LOCKSTEP_BINARY OMPI_MCA_plm_rsh_agent=$work/agent

# The hosts of the examples are this one, reached through an agent that runs here what it should run there.
printf '#!/bin/sh\nshift\nexec sh -c "$*"\n' >"$work/agent"
chmod +x "$work/agent"

commands=0
while read -r line; do
  line=${line#$ }
  line=${line%%#*}
  line=${line//a:/127.0.0.2:}
  line=${line//b:/127.0.0.3:}
  line=${line//c:/127.0.0.4:}
  # shellcheck disable=SC2086
  set -- $line
  program=$1
  shift
  "$program" --dry-run "$@" >"$work/out" 2>&1 || { echo "failed: $line: $(cat "$work/out")"; exit 1; }
  grep -Eq '(mpirun|sbatch) .*(/lockstep|/train.sbatch) ' "$work/out" || { echo "$line: $(cat "$work/out")"; exit 1; }
  commands=$((commands + 1))
done < <(awk '/^```/ { inside = !inside; next } inside' launch/README.md README.md |
  grep -E '^(\$ )?launch/(mpirun|slurm/submit) ')
[ "$commands" -ge 8 ] || { echo "expected eight commands or more, found $commands"; exit 1; }
