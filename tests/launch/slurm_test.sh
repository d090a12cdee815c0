#!/usr/bin/env bash
# LABELS: mpi launch
# Debian's Slurm itself, on two nodes: a training of two nodes finishes; one cut by its time limit, one requeued by hand
# and one pushed out by a job of a higher partition go on by themselves and end with the same bytes. With $LONG also job
# arrays and the start by mpirun.
set -euo pipefail
# shellcheck source=tests/launch/world.bash
source "$LOCKSTEP_SOURCE_DIR/tests/launch/world.bash"
# shellcheck source=tests/launch/slurm_cluster.bash
source "$LOCKSTEP_SOURCE_DIR/tests/launch/slurm_cluster.bash"
have_slurm || skip "there is no Slurm; as root: launch/packages --install launch"
enter_world "$0"
make_hosts n1 n2
start_slurm n1 n2
cd "$work"
export LOCKSTEP=$LOCKSTEP_BINARY

# Ten seconds on two processors.
cat >net.toml <<'END'
seed = 3
[model]
name = "cifar_resnet"
depth = 20
[data]
name = "shapes"
train_size = 2048
test_size = 256
[train]
epochs = 4
global_batch_size = 64
log_every_steps = 1
[optimizer]
name = "sgd"
lr = 0.05
momentum = 0.9
[schedule]
name = "cosine"
[device]
threads = 1
END

submit() { "$LOCKSTEP_SOURCE_DIR/launch/slurm/submit" net.toml --nodes 2 "$@"; }
folder_of() { echo "runs/net/job-$1"; }
log_of() { cat "lockstep-$1.out"; }
steps_of() { grep -c '"event": *"step"' "$(folder_of "$1")/metrics.jsonl" 2>/dev/null || true; }
has_steps() { local steps; steps=$(steps_of "$1"); [ "${steps:-0}" -ge "$2" ]; }
to_ranks() {  # SIGNAL
  local process
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/exe")" != "$(realpath "$LOCKSTEP")" ] || kill -"$1" "${process#/proc/}"
  done
}
is_over() { [[ $(job_state "$1") =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)$ ]]; }
finish() {  # JOB SECONDS
  await "$2" is_over "$1" || fail "job $1 is $(job_state "$1") after $2 s: $(log_of "$1")"
  job_is "$1" COMPLETED || fail "job $1 ended as $(job_state "$1"): $(log_of "$1")"
}
says() { log_of "$1" | grep -Eq -- "$2" || fail "job $1 did not say '$2': $(log_of "$1")"; }
# Claims: the job was restarted, said why, and ended as the one that nobody disturbed.
survived() {
  finish "$1" 300
  says "$1" "$2"
  says "$1" "going on from $(folder_of "$1")/checkpoints/step-0*[1-9]"
  [ "$(scontrol -o show job "$1" | sed -n 's/.* Restarts=\([0-9]*\).*/\1/p')" -ge 1 ] || fail "job $1 was not restarted"
  cmp "$(folder_of "$1")/checkpoints/last.h5" "$(folder_of "$whole")/checkpoints/last.h5" ||
    fail "job $1 ended with other parameters: $(log_of "$1")"
  echo "--- job $1: $3"
  log_of "$1" | grep -E ' job [0-9]+: |going on|stopped by|^done|slurmstepd'
}

whole=$(submit -- --parsable)
finish "$whole" 300
says "$whole" 'lockstep-net: 2 ranks on 2 nodes \(n\[1-2\]\), by srun --mpi=pmix; restart 0'
grep -q '"host": "n2"' "$(folder_of "$whole")/environment.json" || fail "no rank was on n2"
echo "--- job $whole: undisturbed"
log_of "$whole" | grep -E ' job [0-9]+: |^done'

# Slurm looks at limits every half minute alone: until then the ranks stand still.
job=$(submit --time 1 -- --parsable --signal=B:USR1@60)
await 240 has_steps "$job" 20 || fail "job $job does not begin: $(log_of "$job")"
to_ranks STOP
await 240 grep -q 'USR1' "lockstep-$job.out" || fail "no signal before the time limit: $(log_of "$job")"
to_ranks CONT
await 240 job_is "$job" PENDING || fail "job $job is not requeued: $(log_of "$job")"
scontrol update "JobId=$job" TimeLimit=30
survived "$job" 'stopped and saved at step [1-9][0-9]*; requeues itself' "cut by its time limit"

job=$(submit -- --parsable)
await 240 has_steps "$job" 20 || fail "job $job does not begin: $(log_of "$job")"
scontrol requeue "$job"
survived "$job" 'TERM: Slurm ends this job' "scontrol requeue"

job=$(submit -- --parsable)
await 240 has_steps "$job" 20 || fail "job $job does not begin: $(log_of "$job")"
urgent=$(sbatch --parsable --partition=urgent --nodes=2 --wrap='sleep 1')
await 240 job_is "$urgent" COMPLETED || fail "the urgent job is $(job_state "$urgent")"
survived "$job" 'DUE TO PREEMPTION' "pushed out by job $urgent of a higher partition"

job=$(LOCKSTEP_MAX_REQUEUES=0 submit -- --parsable)
await 240 has_steps "$job" 5 || fail "job $job does not begin: $(log_of "$job")"
scancel --batch --signal=USR1 "$job"
await 240 is_over "$job" || fail "job $job is $(job_state "$job")"
says "$job" 'not requeued a further time after 0 restarts'
scontrol -o show job "$job" | grep -q 'ExitCode=75:0' || fail "job $job did not end with 75"

[ -n "${LONG:-}" ] || exit 0

jobs=$(submit --seeds 1-2 -- --parsable)
for seed in 1 2; do
  await 600 test -e "runs/net/job-$jobs-seed-$seed/checkpoints/last.h5" ||
    fail "seed $seed does not end: $(cat lockstep-"$jobs"_*.out)"
  grep -q "^seed = $seed\$" "runs/net/job-$jobs-seed-$seed/recipe.toml" || fail "task $seed has another seed"
done

job=$(submit --mpi mpirun -- --parsable)
await 240 has_steps "$job" 20 || fail "job $job does not begin: $(log_of "$job")"
scancel --batch --signal=USR1 "$job"
survived "$job" 'stopped and saved at step [1-9][0-9]*; requeues itself' "ranks started by mpirun, asked to save"
