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
# shellcheck source=launch/parts/hosts.bash
read -r _ nodes _ < <(source "$LOCKSTEP_SOURCE_DIR/launch/parts/hosts.bash"; facts_of localhost)
starts "$nodes" 'train recipe.toml' recipe.toml
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

agent() { OMPI_MCA_plm_rsh_agent=$work/bin/$1 NCCL_DEBUG=INFO "${@:2}"; }
DEVICES='cpu cuda' agent agent plans '--host 127.0.0.2:2,127.0.0.3:3 -n 5 .*-x LOCKSTEP .*-x NCCL_DEBUG' \
  --hosts 127.0.0.2:2,127.0.0.3 recipe.toml
# On hosts with two NUMA nodes ranks are bound to them where each node gets one. A third node has no processor for us.
cat >"$work/bin/lscpu" <<'END'
#!/bin/sh
case $1 in *cpu,*) printf '0,0\n1,0\n2,1\n3,2\n' ;; *) printf '0\n0\n1\n2\n' ;; esac
END
printf '#!/bin/sh\n[ "$2" != 3 ]\n' >"$work/bin/taskset"
chmod +x "$work/bin"/*
agent agent plans '-n 4 --map-by numa --bind-to numa --oversubscribe' --hosts 127.0.0.2:2,127.0.0.3 recipe.toml
agent agent plans '-n 3 --bind-to none --oversubscribe' --hosts 127.0.0.2:2,127.0.0.3:1 recipe.toml
rm "$work/bin"/{lscpu,taskset}

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

# Claims: ranks that end so give this exit status, and none of mpirun's paragraphs.
ends() {
  local expected=$1 status=0
  shift
  env "$@" "$mpirun" -n 2 recipe.toml --quiet >"$work/out" 2>&1 || status=$?
  [ "$status" = "$expected" ] || fail "$* gave $status, not $expected: $(cat "$work/out")"
  ! grep -q -e '----------' "$work/out" || fail "$*: mpirun's paragraph: $(cat "$work/out")"
}
ends 4 STATUS=4
ends 75 STATUS=75
[ ! -s "$work/out" ] || fail "of ranks that leave with 75 was said: $(cat "$work/out")"
ends 137 DIES=KILL
grep -q "rank [01] on $(hostname -s) was ended by signal 9 (Killed)" "$work/out" ||
  fail "a killed rank: $(cat "$work/out")"

# What becomes of mpirun's messages. (It does not always print all of them.)
shortens() {  # TEXT EXPECTED
  local found
  found=$(
    say() { echo "launch/mpirun: $*"; }
    # shellcheck source=launch/parts/job.bash
    source "$LOCKSTEP_SOURCE_DIR/launch/parts/job.bash"
    printf '%b' "$1" | shorten_messages ''
  )
  [ "$found" = "$(printf '%b' "$2")" ] || fail "'$1' became '$found'"
}
line=--------------------------------------------------------------------------
left='the job to be terminated. The first process to do so was:\n\n  Process name: [[48190,1],3]\n  Exit code:    '
shortens "a\n$line\nPrimary job  terminated normally, but 1 process returned\na non-zero exit code.\n$line\nb\n" 'a\nb'
shortens "$line\nmpirun detected …\n${left}75\n$line\n" ''
shortens "$line\nmpirun detected …\n${left}5\n$line\n" 'launch/mpirun: rank 3 was the first to leave, with exit code 5'
shortens "$line\nThere are not enough slots.\n$line\nmpirun: Forwarding signal 10 to job\n" 'There are not enough slots.\n'
shortens "$line\nThe text breaks off" 'The text breaks off'

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
