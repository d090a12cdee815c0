#!/usr/bin/env bash
# LABELS: mpi
# launch/mpirun with a command of its own in place of lockstep: arguments, exit status, signals.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "failed: $1"; exit 1; }
mpirun=$LOCKSTEP_SOURCE_DIR/launch/mpirun
export LOCKSTEP=$work/lockstep
cat >"$LOCKSTEP" <<'END'
#!/usr/bin/env bash
trap 'echo usr1 >"$WORK/usr1.$OMPI_COMM_WORLD_RANK"; [ -n "${DEAF:-}" ] || exit 75' USR1
echo "$*" >"$WORK/args.$OMPI_COMM_WORLD_RANK"
for ((i = 0; i < ${TENTHS:-0}; i++)); do sleep 0.1; done
exit "${STATUS:-0}"
END
chmod +x "$LOCKSTEP"
export WORK=$work

# Claims: the arguments of launch/mpirun; the number of ranks; what each rank's lockstep is given.
starts() {
  local ranks=$1 expected=$2
  shift 2
  rm -f "$work"/args.*
  "$mpirun" "$@" || fail "$* ended with $?"
  [ "$(find "$work" -name 'args.*' | wc -l)" = "$ranks" ] || fail "$*: expected $ranks ranks"
  [ "$(cat "$work/args.0")" = "$expected" ] || fail "$*: lockstep was given '$(cat "$work/args.0")'"
}
starts 2 'train recipe.toml' recipe.toml
starts 3 'train recipe.toml --set seed=2' -n 3 recipe.toml --set seed=2
starts 1 'train recipe.toml --resume' recipe.toml -n 1 --resume
starts 1 'evaluate some file.h5' evaluate 'some file.h5' -n1

for wrong in '' '-n' '-n 0 r.toml' '-n two r.toml'; do
  status=0
  # shellcheck disable=SC2086
  "$mpirun" $wrong >/dev/null 2>&1 || status=$?
  [ "$status" = 2 ] || fail "'$wrong' ended with $status, not 2"
done

status=0
STATUS=4 "$mpirun" recipe.toml >/dev/null 2>&1 || status=$?
[ "$status" = 4 ] || fail "ranks that exit with 4 gave $status"

# Waits until both ranks have started.
await_ranks() {
  for ((i = 0; i < 300; i++)); do
    [ -e "$work/args.0" ] && [ -e "$work/args.1" ] && return
    sleep 0.1
  done
  fail "the ranks did not start"
}
for signal in TERM HUP; do
  rm -f "$work"/args.* "$work"/usr1.*
  TENTHS=600 "$mpirun" recipe.toml >/dev/null 2>&1 &
  wrapper=$!
  await_ranks
  kill -"$signal" "$wrapper"
  status=0
  wait "$wrapper" || status=$?
  [ "$status" = 75 ] || fail "after $signal the status is $status, not 75"
  [ "$(find "$work" -name 'usr1.*' | wc -l)" = 2 ] || fail "$signal did not reach every rank as USR1"
done

rm -f "$work"/args.* "$work"/usr1.*
DEAF=1 TENTHS=600 "$mpirun" recipe.toml >/dev/null 2>&1 &
wrapper=$!
await_ranks
kill -TERM "$wrapper"
for ((i = 0; i < 100; i++)); do [ -e "$work/usr1.1" ] && break; sleep 0.1; done
kill -TERM "$wrapper"
status=0
wait "$wrapper" || status=$?
[ "$status" != 0 ] || fail "a second signal ended with 0"
