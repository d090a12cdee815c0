#!/usr/bin/env bash
# LABELS: mpi launch
# USR1, TERM and INT at random steps, at 1 and 2 ranks: saved, exit status 75, gone on with, and the same bytes at the
# end as without a signal. $ROUNDS rounds; $SEED repeats the steps of an earlier run.
set -euo pipefail
rounds=${ROUNDS:-6}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$seed
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "failed (SEED=$seed): $1"; [ ! -f "$work/out" ] || cat "$work/out"; exit 1; }
cd "$work"
export LOCKSTEP=$LOCKSTEP_BINARY OMP_NUM_THREADS=1

# 60 steps per epoch, the last one smaller; evaluations take a while too, so that signals meet them too.
cat >signals.toml <<'END'
seed = 3
[model]
name = "convnet"
[data]
name = "shapes"
train_size = 476
test_size = 400
[train]
epochs = 4
global_batch_size = 8
[optimizer]
name = "sgd"
lr = 0.05
momentum = 0.9
[schedule]
name = "cosine"
warmup_epochs = 0.5
END

train() {  # RANKS ARGUMENT…
  if [ "$1" = 1 ]; then exec "$LOCKSTEP" train "${@:2}"; else exec "$LOCKSTEP_SOURCE_DIR/launch/mpirun" -n "$@"; fi
}
for ranks in 1 2; do
  (train $ranks signals.toml --output "whole.$ranks") >out 2>&1 || fail "$ranks ranks, never stopped: exit status $?"
done

steps_of() { grep -c '"event": *"step"' "$1/metrics.jsonl" 2>/dev/null || true; }

# RANKS SIGNAL STEP: one round; prints when it was stopped. Fails where the training was over before the signal.
stop_and_go_on() {
  local ranks=$1 signal=$2 step=$3 status=0 steps=0 pid
  rm -rf run
  set -m  # otherwise the child would ignore INT
  (train "$ranks" signals.toml --output run) >out 2>&1 &
  pid=$!
  set +m
  while [ "${steps:-0}" -lt "$step" ] && kill -0 "$pid" 2>/dev/null; do
    sleep 0.01
    steps=$(steps_of run)
  done
  kill -"$signal" "$pid" 2>/dev/null || true
  wait "$pid" || status=$?
  [ "$status" != 0 ] || return 1
  [ "$status" = 75 ] || fail "$ranks ranks, $signal at step $step: exit status $status, not 75"
  local asked=$signal
  [ "$ranks" = 1 ] || asked=USR1  # launch/mpirun makes it that
  grep -q "stopped by $asked after [0-9.]* s, saved at step" out ||
    fail "$ranks ranks, $signal: how it ended was not said"
  ! grep -q -e '------' out || fail "mpirun's paragraph"
  sed -n "s/.*\(stopped by .*\), saved at \(step [0-9]*\) .*/ranks: $ranks, signal: $signal; \1 at \2/p" out

  (train "$ranks" signals.toml --output run --resume) >out 2>&1 ||
    fail "$ranks ranks, going on after $signal: exit status $?"
  cmp run/checkpoints/last.h5 "whole.$ranks/checkpoints/last.h5" ||
    fail "$ranks ranks, $signal at step $step: another end"
}

signals=(USR1 TERM INT)
for ((round = 0; round < rounds; round++)); do
  for try in 1 2 3 late; do
    [ $try != late ] || fail "three trainings were over before their signal"
    ! stop_and_go_on $((1 + round % 2)) "${signals[round / 2 % 3]}" $((1 + RANDOM % 150)) || break
  done
done
