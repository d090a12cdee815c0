#!/usr/bin/env bash
# LABELS: mpi launch
# launch/mpirun with a command of its own in place of lockstep: arguments, hosts, exit status, signals.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "failed: $1"; exit 1; }
mpirun=$LOCKSTEP_SOURCE_DIR/launch/mpirun
export LOCKSTEP=$work/lockstep
cat >"$LOCKSTEP" <<'END'
#!/usr/bin/env bash
if [ "$1" = list ]; then echo "${DEVICES:-cpu}"; exit 0; fi
trap 'echo usr1 >"$WORK/usr1.$OMPI_COMM_WORLD_RANK"; [ -n "${DEAF:-}" ] || exit 75' USR1
echo "$*" >"$WORK/args.$OMPI_COMM_WORLD_RANK"
[ -z "${DIES:-}" ] || kill -"$DIES" $$
[ "$OMPI_COMM_WORLD_RANK" = 1 ] || TENTHS=${TENTHS_OF_0:-${TENTHS:-0}}
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
starts "$(find /sys/devices/system/node -maxdepth 1 -name 'node[0-9]*' 2>/dev/null | grep -c . || echo 1)" \
  'train recipe.toml' recipe.toml
starts 3 'train recipe.toml --set seed=2' -n 3 recipe.toml --set seed=2
starts 1 'train recipe.toml --resume' recipe.toml -n 1 --resume
starts 1 'evaluate some file.h5' evaluate 'some file.h5' -n1

for wrong in '' '-n' '-n 0 r.toml' '-n two r.toml' '--hosts' '--hosts a:0 r.toml' '--hosts 127.0.0.2:1 -n 2 r.toml' \
  '--restarts many r.toml' '--restarts 2 evaluate r.h5'; do
  status=0
  # shellcheck disable=SC2086
  "$mpirun" $wrong >/dev/null 2>&1 || status=$?
  [ "$status" = 2 ] || fail "'$wrong' ended with $status, not 2"
done

# Claims: a dry run with these arguments prints a command that matches a pattern, and starts nothing.
plans() {
  local pattern=$1
  shift
  rm -f "$work"/args.*
  "$mpirun" --dry-run "$@" >"$work/plan" 2>"$work/said" || fail "$* ended with $?: $(cat "$work/said")"
  grep -Eq -- "$pattern" "$work/plan" || fail "$*: planned '$(cat "$work/plan")', not $pattern"
  [ ! -e "$work/args.0" ] || fail "a dry run started something"
}
plans 'mpirun -n 5 --bind-to (none|numa) --oversubscribe .*/lockstep train recipe.toml --set seed=2' \
  -n 5 recipe.toml --set seed=2

mkdir "$work/bin"
printf '#!/bin/sh\necho "GPU 0: A"; echo "GPU 1: A"; echo "GPU 2: B"\n' >"$work/bin/nvidia-smi"
# An agent that runs here what it is to run on another host, in the bare environment that ssh gives.
printf '#!/bin/sh\nshift\nexec env -i PATH="%s" sh -c "$*"\n' "$work/bin:$PATH" >"$work/bin/agent"
printf '#!/bin/sh\nexit 255\n' >"$work/bin/dead"
chmod +x "$work/bin"/*
with_gpus() { PATH=$work/bin:$PATH plans "$@"; }
DEVICES='cpu cuda' with_gpus 'mpirun -n 3 ' recipe.toml
grep -q 'one per GPU' "$work/said" || fail "why 3 ranks was not said: $(cat "$work/said")"
DEVICES='cpu' with_gpus 'mpirun -n [0-9]+ ' recipe.toml
grep -q 'one per NUMA node' "$work/said" || fail "GPUs counted for a build without cuda: $(cat "$work/said")"

agent() { OMPI_MCA_plm_rsh_agent=$work/bin/$1 DEVICES='cpu cuda' NCCL_DEBUG=INFO "${@:2}"; }
agent agent plans '--host 127.0.0.2:2,127.0.0.3:3 -n 5 .*-x LOCKSTEP .*-x NCCL_DEBUG' \
  --hosts 127.0.0.2:2,127.0.0.3 recipe.toml
# Claims: launch/mpirun with these arguments ends with 2 and says so.
refuses() {
  local text=$1 status=0
  shift
  "$mpirun" "$@" >"$work/said" 2>&1 || status=$?
  [ "$status" = 2 ] || fail "$* ended with $status, not 2: $(cat "$work/said")"
  grep -q -- "$text" "$work/said" || fail "$*: said '$(cat "$work/said")', not '$text'"
}
refuses "the name 'no-such-host.invalid' has no address here" --hosts 127.0.0.1:1,no-such-host.invalid:1 recipe.toml
agent dead refuses '127.0.0.2: no answer' --hosts 127.0.0.2:1 recipe.toml

plans 'mpirun -n 999 ' -n 999 recipe.toml
grep -q '999 ranks share the .* processors' "$work/said" || fail "crowding is not said: $(cat "$work/said")"
if [ "$(id -u)" = 0 ]; then grep -q 'as root' "$work/said" || fail "starting as root is not said"; fi

# Claims: ranks that end so give this exit status, and launch/mpirun says this of it ("": nothing of its own).
ends() {
  local expected=$1 text=$2 status=0
  shift 2
  env "$@" "$mpirun" -n 2 recipe.toml --quiet >"$work/out" 2>&1 || status=$?
  [ "$status" = "$expected" ] || fail "$* gave $status, not $expected: $(cat "$work/out")"
  if [ -n "$text" ]; then
    grep -q "$text" "$work/out" || fail "$*: '$(cat "$work/out")', not '$text'"
  else
    [ ! -s "$work/out" ] || fail "$*: '$(cat "$work/out")' was said"
  fi
  ! grep -q -e '----------' "$work/out" || fail "$*: mpirun's paragraph: $(cat "$work/out")"
}
ends 4 'rank 1 was the first to leave, with exit code 4' STATUS=4 TENTHS_OF_0=100
ends 75 '' STATUS=75
ends 137 "rank [01] on $(hostname -s) was ended by signal 9 (Killed)" DIES=KILL

# Waits until both ranks have started.
await_ranks() {
  for ((i = 0; i < 300; i++)); do
    [ -e "$work/args.0" ] && [ -e "$work/args.1" ] && return
    sleep 0.1
  done
  fail "the ranks did not start"
}
for signal in TERM HUP USR1; do
  rm -f "$work"/args.* "$work"/usr1.*
  TENTHS=600 "$mpirun" -n 2 recipe.toml >/dev/null 2>&1 &
  wrapper=$!
  await_ranks
  kill -"$signal" "$wrapper"
  status=0
  wait "$wrapper" || status=$?
  [ "$status" = 75 ] || fail "after $signal the status is $status, not 75"
  [ "$(find "$work" -name 'usr1.*' | wc -l)" = 2 ] || fail "$signal did not reach every rank as USR1"
done

rm -f "$work"/args.* "$work"/usr1.*
DEAF=1 TENTHS=600 "$mpirun" -n 2 recipe.toml >/dev/null 2>&1 &
wrapper=$!
await_ranks
kill -TERM "$wrapper"
for ((i = 0; i < 100; i++)); do [ -e "$work/usr1.1" ] && break; sleep 0.1; done
kill -TERM "$wrapper"
status=0
wait "$wrapper" || status=$?
[ "$status" != 0 ] || fail "a second signal ended with 0"
