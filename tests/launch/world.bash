# A world of its own for a test that needs several hosts: namespaces of processes, mounts, network and host names. All
# that runs in it, all its interfaces and its files in $work vanish with the test, however the test ends: nothing is
# left to be cleaned up. Sourced, then enter_world "$0" first of all.

fail() { echo "failed: $*"; exit 1; }
skip() { echo "skipped: $*"; exit 77; }

# Goes on in the new world; skips where none can be had.
enter_world() {  # SCRIPT
  if [ -z "${LOCKSTEP_WORLD:-}" ]; then
    [ "$(id -u)" = 0 ] || skip "hosts of its own need root"
    command -v ip >/dev/null || skip "ip is missing; as root: launch/packages --install launch"
    unshare --mount --pid --fork --net --uts --ipc true 2>/dev/null || skip "this system permits no namespaces"
    # Whoever ends this shell, by whatever signal, ends the world.
    LOCKSTEP_WORLD=yes setpriv --pdeathsig KILL \
      unshare --mount --pid --fork --kill-child --mount-proc --net --uts --ipc bash "$1" &
    trap 'kill -KILL "$!"; exit 143' INT TERM HUP
    wait "$!" && exit
    exit "$?"
  fi
  mount -t tmpfs -o mode=755 lockstep /run
  mount -t tmpfs lockstep /dev/shm
  work=/run/lockstep
  mkdir -p $work/tmp
  export TMPDIR=$work/tmp
  ip link set lo up
}

# NAME…: hosts 10.77.0.1, 2, … of these names on one switch, where this shell itself is the host `head`, 10.77.0.254.
make_hosts() {
  local number=0 name
  hostname head
  ip link add switch type bridge 2>/dev/null || skip "this system makes no bridges"
  ip address add 10.77.0.254/24 dev switch
  ip link set switch up
  printf '127.0.0.1 localhost\n10.77.0.254 head\n' >$work/hosts
  for name in "$@"; do
    number=$((number + 1))
    echo "10.77.0.$number $name" >>$work/hosts
    ip netns add "$name"
    ip link add "to-$name" type veth peer name eth0 netns "$name"
    ip link set "to-$name" master switch up
    ip -n "$name" address add "10.77.0.$number/24" dev eth0
    ip -n "$name" link set eth0 up
    ip -n "$name" link set lo up
  done
  mount --bind $work/hosts /etc/hosts
}

# HOST COMMAND…: runs it there; $TMPDIR is the host's own, all other files are shared.
on() {
  local host=$1
  shift
  mkdir -p "$work/$host.tmp"
  # shellcheck disable=SC2016  # expands in the inner shell
  nsenter "--net=/run/netns/$host" unshare --uts --mount \
    sh -c 'hostname "$0"; mount --bind "$1" "$2"; shift 2; exec "$@"' "$host" "$work/$host.tmp" "$TMPDIR" "$@"
}

# SECONDS COMMAND…: until the command succeeds; fails after so long.
await() {
  local tenths=$((10 * $1))
  shift
  while ! "$@"; do
    [ $((tenths -= 1)) -gt 0 ] || return 1
    sleep 0.1
  done
}
