#!/usr/bin/env bash
# LABELS: mpi launch
# launch/mpirun --restarts with a command of its own in place of lockstep: which ends are worth a further start, where
# that goes on, and when it is given up.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "failed: $1"; [ ! -f "$work/out" ] || cat "$work/out"; exit 1; }
mpirun=$LOCKSTEP_SOURCE_DIR/launch/mpirun
export WORK=$work LOCKSTEP=$work/lockstep LOCKSTEP_RESTART_SECONDS=0

# Start number N ends as word N of $ENDS says (the last one for all further ones): an exit status, or KILL; a + before
# it leaves a newer checkpoint.
cat >"$LOCKSTEP" <<'END'
#!/usr/bin/env bash
start=$(($(cat "$WORK/starts") + 1))
echo "$start" >"$WORK/starts"
echo "$*" >"$WORK/args.$start"
while [ $# -gt 0 ]; do [ "$1" != --output ] || folder=$2; shift; done
read -r -a ends <<<"$ENDS"
end=${ends[start - 1]:-${ends[-1]}}
if [[ $end = +* ]]; then
  mkdir -p "$folder/checkpoints"
  touch "$(printf '%s/checkpoints/step-%08d.h5' "$folder" $((8 * start)))"
fi
[ "${end#+}" != KILL ] || kill -KILL $$
exit "${end#+}"
END
chmod +x "$LOCKSTEP"

# Claims: with these ends, so many starts are made and the exit status is this. The arguments of launch/mpirun follow.
runs() {
  local ends=$1 starts=$2 expected=$3 status=0
  shift 3
  rm -rf "$work"/args.* "$work/run"
  mkdir "$work/run"
  echo 0 >"$work/starts"
  (cd "$work/run" && ENDS=$ends exec "$mpirun" -n 1 "$@") >"$work/out" 2>&1 || status=$?
  [ "$status" = "$expected" ] || fail "'$ends' $*: exit status $status, not $expected"
  [ "$(cat "$work/starts")" = "$starts" ] || fail "'$ends' $*: $(cat "$work/starts") starts, not $starts"
}
args() { cat "$work/args.$1"; }
says() { grep -q -- "$1" "$work/out" || fail "did not say '$1'"; }

runs '+KILL +1 0' 3 0 --restarts 5 recipes/cifar10/net.toml --set seed=2
[ "$(args 1)" = "train recipes/cifar10/net.toml --set seed=2 --output runs/cifar10-net/001" ] ||
  fail "first start: $(args 1)"
[ "$(args 2)" = "$(args 1) --resume" ] && [ "$(args 3)" = "$(args 2)" ] || fail "second start: $(args 2)"
says 'exit status 137: starts again from step 8 in 0 s (restart 1 of 5)'
says 'exit status 1: starts again from step 16 in 0 s (restart 2 of 5)'

runs '+1' 3 1 --restarts 2 net.toml
says 'exit status 1 after 2 restarts: gives up'
runs '+5 5' 4 5 --restarts 20 net.toml --output here
[ "$(args 4)" = "train net.toml --output here --resume" ] || fail "fourth start: $(args 4)"
says '3 starts brought no checkpoint newer than step 8: gives up'

for status in 0 2 3 75; do runs "$status" 1 "$status" --restarts 9 net.toml; done
runs 1 1 1 net.toml
[ "$(args 1)" = "train net.toml" ] || fail "without --restarts the arguments became $(args 1)"

# The newest run of the recipe is gone on with, or a new one begun, beside those that are there.
runs '0' 1 0 --restarts 1 recipes/net.toml --resume
[ "$(args 1)" = "train recipes/net.toml --resume --output runs/net/001" ] || fail "resumed: $(args 1)"
runs '0' 0 2 --restarts 1 net.toml --resume=some/file.h5
mkdir -p "$work/run/runs/net/009"
cd "$work/run"
for resume in '' --resume; do
  echo 0 >"$work/starts"
  # shellcheck disable=SC2086
  ENDS='1 0' "$mpirun" --restarts 1 net.toml $resume >"$work/out" 2>&1 || fail "in a used folder: $?"
  [ "$(args 2)" = "train net.toml --output runs/net/010 --resume" ] || fail "in a used folder: $(args 2)"
done

# A signal while it waits for the next start ends it.
rm -f "$work"/args.* "$work/out"
echo 0 >"$work/starts"
ENDS=1 LOCKSTEP_RESTART_SECONDS=30 "$mpirun" -n 1 --restarts 9 net.toml >"$work/out" 2>&1 &
wrapper=$!
for ((i = 0; i < 300; i++)); do grep -qs 'starts again' "$work/out" && break; sleep 0.1; done
kill -TERM "$wrapper"
status=0
wait "$wrapper" || status=$?
[ "$status" = 75 ] || fail "a signal between two starts gave $status, not 75"
[ "$(cat "$work/starts")" = 1 ] || fail "it was started again after a signal"
