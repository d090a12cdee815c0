#!/usr/bin/env bash
# LABELS: mpi launch
# mpirun over three hosts, each with an address, a name and a $TMPDIR of its own, joined by a switch: they compute what
# three ranks on one host compute; a host whose link goes down ends the run in bounded time, named; --restarts goes on
# without it. $STEPS of ResNet-20 (4 unless given), on CIFAR-10 where $LOCKSTEP_DATA has it.
set -euo pipefail
# shellcheck source=tests/launch/world.bash
source "$LOCKSTEP_SOURCE_DIR/tests/launch/world.bash"
enter_world "$0"
make_hosts a b c
cd "$work"
steps=${STEPS:-4}

# In place of ssh: `agent HOST COMMAND` in the bare environment that ssh gives.
cat >"$work/agent" <<END
#!/usr/bin/env bash
source $LOCKSTEP_SOURCE_DIR/tests/launch/world.bash
work=$work TMPDIR=$TMPDIR
host=\$1
shift
ip -n "\$host" -o link show eth0 | grep -qw LOWER_UP || exit 255
on "\$host" env -i "PATH=$PATH" "HOME=$HOME" TMPDIR=$TMPDIR sh -c "\$*"
END
chmod +x "$work/agent"
export OMPI_MCA_plm_rsh_agent=$work/agent LOCKSTEP=$LOCKSTEP_BINARY
launch() { on a "$LOCKSTEP_SOURCE_DIR/launch/mpirun" "$@"; }

recipe=$LOCKSTEP_SOURCE_DIR/recipes/cifar10/resnet20.toml
data=(--set data.path=cifar10)
if [ ! -d "${LOCKSTEP_DATA:-/none}/cifar10" ]; then
  echo "CIFAR-10 is not at hand (LOCKSTEP_DATA): shapes stand in for it"
  data=(--set 'data={name="shapes",train_size=5000,test_size=64,mean=[0.5,0.5,0.5],std=[0.25,0.25,0.25]}')
fi
train=("$recipe" "${data[@]}" --set device.threads=1 --set train.global_batch_size=126 --set train.profile=true
  --set "train.max_steps=$steps" --set evaluation.every_epochs=0)

# --- the same parameters as on one host

launch --hosts a:1,b:1,c:1 "${train[@]}" --output three >three.out 2>&1 ||
  fail "three hosts: exit status $?: $(cat three.out)"
grep -q '"host": "c"' three/environment.json || fail "no rank was on c"
"$LOCKSTEP_SOURCE_DIR/launch/mpirun" -n 3 "${train[@]}" --output one >out 2>&1 || fail "one host: $(cat out)"
cmp three/checkpoints/last.h5 one/checkpoints/last.h5 || fail "three hosts give other parameters than one"
echo "three hosts and one host give the same bytes after $steps steps"

# --- a slower network: what of the communication is not hidden behind computation

exposed() { sed -n 's/^waiting for other ranks *\([0-9.]*\) .*/\1/p' "$1" | tail -n 1; }
# DEVICE of every host has its address from now on.
give_addresses_to() {
  local number=0 host
  for host in a b c; do
    number=$((number + 1))
    ip -n "$host" address flush dev eth0
    [ "$1" = eth0 ] || ip -n "$host" link set "$1" up
    ip -n "$host" address add "10.77.0.$number/24" dev "$1"
  done
}
if [ -c /dev/net/tun ]; then
  "$LOCKSTEP_BUILD_DIR/tests/launch_slow_switch" 1e9 5000 a b c &
  switch=$!
  await 10 ip -n c link show slow0 >/dev/null 2>&1 || fail "the slow switch does not start"
  give_addresses_to slow0
  launch --hosts a:1,b:1,c:1 "${train[@]}" --output slow >slow.out 2>&1 || fail "slow network: $(cat slow.out)"
  cmp three/checkpoints/last.h5 slow/checkpoints/last.h5 || fail "a slower network gives other parameters"
  [ -n "$(exposed slow.out)" ] || fail "the exposed communication is not in the profile: $(cat slow.out)"
  echo "exposed communication per step: $(exposed three.out) ms; with 1 Gbit/s and 5 ms $(exposed slow.out) ms"
  kill "$switch"
  give_addresses_to eth0
else
  echo "no slow network: there is no /dev/net/tun"
fi

# --- a link goes down

has_saved() { find "$1/checkpoints" -name 'step-*.h5' 2>/dev/null | grep -q .; }
# NAME: a training that saves often; goes on to step 24.
start_long() {
  launch --hosts a:1,b:1,c:1 --restarts 2 "${train[@]}" --set train.max_steps=24 --set checkpoint.every_steps=2 \
    --set communicator.timeout_seconds=3 --output "$1" >"$1.out" 2>&1 &
  run=$!
  await 240 has_saved "$1" || fail "$1 does not begin: $(cat "$1.out")"
}
ranks_of() { grep -c '"rank":' "$1/environment.json"; }

start_long cut
ip link set to-c down
down=$SECONDS
await 240 grep -q 'starts again' cut.out || fail "a link went down, and nothing ended: $(cat cut.out)"
echo "a link went down: all ended after $((SECONDS - down)) s"
grep -q 'lockstep: rank [01] of 3 on [ab]: .*: rank 2 on c does not answer' cut.out ||
  fail "the host was not named: $(cat cut.out)"
wait "$run" || fail "without c: exit status $?: $(cat cut.out)"
grep -q 'no answer from c: starts on a:1 b:1' cut.out || fail "that c is left out was not said: $(cat cut.out)"
[ "$(ranks_of cut)" = 2 ] || fail "there were $(ranks_of cut) ranks at the end"
grep -E '^(launch/mpirun|lockstep):|going on from|^done' cut.out
ip link set to-c up

await 20 "$work/agent" c true || fail "c does not come back"
start_long back
ip link set to-c down
await 240 grep -q 'starts again' back.out || fail "a link went down, and nothing ended: $(cat back.out)"
ip link set to-c up
wait "$run" || fail "with c again: exit status $?: $(cat back.out)"
[ "$(ranks_of back)" = 3 ] || fail "there were $(ranks_of back) ranks at the end"
echo "the link was up again: went on with three hosts"
