#!/usr/bin/env bash
# LABELS: launch
# launch/slurm/submit: what it makes of its options, with stand-ins for sinfo and sbatch.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "failed: $1"; exit 1; }
submit=$LOCKSTEP_SOURCE_DIR/launch/slurm/submit
cd "$work"
mkdir bin recipes
touch recipes/net.toml
printf '#!/bin/sh\necho "$NODES" | tr ";" "\\n"\n' >bin/sinfo
printf '#!/bin/sh\necho "sbatch $* root $LOCKSTEP_ROOT mpi ${LOCKSTEP_SLURM_MPI:-none}"\n' >bin/sbatch
printf '#!/bin/sh\n' >bin/lockstep
chmod +x bin/*
export PATH=$work/bin:$PATH LOCKSTEP=$work/bin/lockstep NODES=''

# Claims: with these nodes ("processors resources;…") and options sbatch is called with those.
submits() {
  local nodes=$1 expected="sbatch --job-name=lockstep-net $2"
  shift 2
  local found
  found=$(NODES=$nodes "$submit" recipes/net.toml "$@") || fail "$* ended with $?"
  expected="$expected $LOCKSTEP_SOURCE_DIR/launch/slurm/train.sbatch recipes/net.toml"
  [ "${found%% root *}" = "$expected" ] || fail "$*: $found"
}
submits '' '--nodes=2 --ntasks-per-node=1' --nodes 2
submits '64 (null);32+ (null)' '--nodes=3 --ntasks-per-node=4 --cpus-per-task=8' --nodes=3 --tasks-per-node 4
# Two of a node's eight GPUs come with a quarter of its processors.
submits '128 gpu:a100:8(S:0-1)' \
  '--nodes=1 --ntasks-per-node=2 --gpus-per-node=2 --cpus-per-task=16 --partition=gpu --time=8:00:00' \
  --nodes 1 --gpus-per-node 2 --partition gpu --time 8:00:00
submits '' '--nodes=1 --ntasks-per-node=1 --cpus-per-task=6 --array=1-3 --output=lockstep-%A_%a.out --account=us' \
  --nodes 1 --cpus-per-task 6 --seeds 1-3 -- --account=us

"$submit" recipes/net.toml --nodes 1 --mpi pmi2 | grep -q "root $LOCKSTEP_SOURCE_DIR mpi pmi2\$" ||
  fail "--mpi does not arrive"
"$submit" recipes/net.toml --nodes 2 --set seed=2 --dry-run >out
grep -q '^LOCKSTEP_ROOT=.* sbatch --job-name=lockstep-net .* recipes/net.toml --set seed=2 $' out ||
  fail "a dry run prints no command"

for wrong in '' 'recipes/net.toml' 'recipes/net.toml --nodes 0' 'recipes/net.toml --nodes' 'none.toml --nodes 1' \
  'recipes/net.toml --nodes 1 --gpus-per-node 2 --tasks-per-node 3' 'recipes/net.toml --nodes 1 --mpi mine'; do
  status=0
  # shellcheck disable=SC2086
  "$submit" $wrong >/dev/null 2>&1 || status=$?
  [ "$status" = 2 ] || fail "'$wrong' ended with $status, not 2"
done

status=0
bash "$LOCKSTEP_SOURCE_DIR/launch/slurm/train.sbatch" recipes/net.toml >out 2>&1 || status=$?
[ "$status" = 2 ] && grep -q 'is a script for sbatch' out || fail "train.sbatch without Slurm: $status, $(cat out)"
