# Debian's Slurm on this machine, started in a world of its own (world.bash): a controller on `head`, and nodes that are
# hosts. Sourced.

have_slurm() {
  command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null
}

# NODES…: starts the cluster on these hosts. Partitions: `normal`, and `urgent`, whose jobs push those of `normal` out.
start_slurm() {
  local nodes node
  nodes=$(IFS=,; echo "$*")
  mkdir -p $work/slurm/state /run/munge
  head -c 128 /dev/urandom >$work/slurm/munge.key
  chmod 600 $work/slurm/munge.key
  munged --key-file=$work/slurm/munge.key --pid-file=$work/slurm/munged.pid --log-file=$work/slurm/munged.log \
    --seed-file=$work/slurm/munge.seed --force

  export SLURM_CONF=$work/slurm/slurm.conf
  cat >$SLURM_CONF <<END
ClusterName=lockstep
SlurmctldHost=head(10.77.0.254)
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation=$work/slurm/state
SlurmdSpoolDir=$work/slurm/%n
SlurmctldPidFile=$work/slurm/slurmctld.pid
SlurmdPidFile=$work/slurm/%n.pid
SlurmctldLogFile=$work/slurm/slurmctld.log
SlurmdLogFile=$work/slurm/%n.log
SlurmdParameters=config_overrides
TmpFS=$TMPDIR
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobRequeue=1
KillWait=${KILL_WAIT:-20}
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$nodes CPUs=1 State=UNKNOWN
PartitionName=normal Nodes=ALL Default=YES PriorityTier=1 MaxTime=60
PartitionName=urgent Nodes=ALL PriorityTier=9 PreemptMode=OFF MaxTime=60
END
  slurmctld -D >$work/slurm/slurmctld.out 2>&1 &
  for node in "$@"; do mkdir -p "$work/slurm/$node"; on "$node" slurmd -D -N "$node" >"$work/slurm/$node.out" 2>&1 & done
  await 30 nodes_are_idle $# || { tail -n 20 $work/slurm/*.log; fail "the nodes of Slurm do not come up"; }
}

nodes_are_idle() { [ "$(sinfo -h -p normal -t idle -o %D 2>/dev/null)" = "$1" ]; }

job_state() { scontrol -o show job "$1" | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p'; }
job_is() { [ "$(job_state "$1")" = "$2" ]; }
