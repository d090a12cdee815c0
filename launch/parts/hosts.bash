# What launch/mpirun asks of hosts: how to reach one, and how many ranks it is good for. Sourced.

# HOST COMMAND: runs it there by mpirun's own way, $OMPI_MCA_plm_rsh_agent or ssh; gives up after a while.
on_host() {
  local agent=${OMPI_MCA_plm_rsh_agent:-ssh}
  agent=${agent%%:*}
  [ "$agent" != ssh ] || agent="ssh -o BatchMode=yes -o ConnectTimeout=10"
  # shellcheck disable=SC2086  # the words of a command
  timeout 20 $agent "$1" "$2" </dev/null
}

is_here() { [ "$1" = localhost ] || [ "$1" = "$(hostname)" ] || [ "$1" = "$(hostname -s 2>/dev/null)" ]; }

has_address() { is_here "$1" || getent ahosts "$1" >/dev/null; }

# Prints "facts GPUS NUMA_NODES PROCESSORS"; without quotes of the one kind, since it travels in them. A node counts
# where this process may use a processor of it: some have memory alone, and a container may have some of the nodes.
facts_script='gpus=$(nvidia-smi -L 2>/dev/null | grep -c ^GPU)
[ "$gpus" != 0 ] || gpus=$(ls -d /dev/nvidia[0-9]* 2>/dev/null | grep -c .)
nodes=0
for node in $(lscpu -p=node 2>/dev/null | grep "^[0-9]" | sort -u); do
  processors=$(lscpu -p=cpu,node | sed -n "s/^\([0-9]*\),$node$/\1/p" | paste -s -d ,)
  taskset -c "$processors" true 2>/dev/null && nodes=$((nodes + 1))
done
[ "$nodes" != 0 ] || nodes=1
echo "facts $gpus $nodes $(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)"'

# HOST: prints "GPUS NUMA_NODES PROCESSORS"; fails where the host does not answer.
facts_of() {
  local output
  if is_here "$1"; then
    output=$(sh -c "$facts_script")
  else
    output=$(on_host "$1" "sh -c '$facts_script'") || return 1
  fi
  sed -n 's/^facts //p' <<<"$output" | grep .
}
