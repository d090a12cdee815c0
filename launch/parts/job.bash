# How launch/mpirun runs mpirun: signals become what gives the ranks time to save, mpirun's paragraphs become a line,
# and the end is bounded also where a host is gone. Sourced. run_job sets `status` (the exit status) and `signals` (how
# many asked to stop).

# Seconds between a rank's last words and the end of everything: mpirun waits for hosts that are gone.
end_bound=${LOCKSTEP_END_SECONDS:-10}

# mpirun's standard error without its own paragraphs about ranks that left: lockstep has said why, and what only mpirun
# knows, a rank killed by a signal, is one line. Tells process $1 (USR2) when a rank prints its last words.
shorten_messages() {
  local line paragraph= within= dashes='^-{50,}$' last_words='^lockstep: rank [0-9]+ of [0-9]+ on '
  local noise='^mpirun: Forwarding signal|sent help message help-mpi-api.txt / mpi-abort|orte_base_help_aggregate'
  while IFS= read -r line || [ -n "$line" ]; do
    if [ -n "$within" ]; then
      if [[ $line =~ $dashes ]]; then
        shorten_paragraph "$paragraph"
        within= paragraph=
      else
        paragraph+=$line$'\n'
      fi
    elif [[ $line =~ $dashes ]]; then
      within=yes
    elif [[ ! $line =~ $noise ]]; then
      printf '%s\n' "$line"
      [[ ! $line =~ $last_words ]] || kill -USR2 "$1" 2>/dev/null || true
    fi
  done
  [ -z "$within" ] || printf '%s' "$paragraph"
}

shorten_paragraph() {
  local text=${1//$'\n'/ } killed='process rank ([0-9]+) with PID [0-9]+ on node ([^ ]+) exited on signal ([0-9]+ \([^)]*\))'
  local left='Process name: \[\[[0-9]+,[0-9]+\],([0-9]+)\] +Exit code: +([0-9]+)'
  if [[ $text =~ $killed ]]; then
    say "rank ${BASH_REMATCH[1]} on ${BASH_REMATCH[2]} was ended by signal ${BASH_REMATCH[3]}"
  elif [[ $text =~ $left ]]; then
    [ "${BASH_REMATCH[2]}" = 75 ] ||
      say "rank ${BASH_REMATCH[1]} was the first to leave, with exit code ${BASH_REMATCH[2]}"
  elif [[ $text != "Primary job  terminated normally"* && $text != "MPI_ABORT was invoked"* ]]; then
    printf '%s\n' "$1"
  fi
}

# The first signal: save and leave. mpirun itself kills its ranks 2 s after a TERM or INT, but hands on USR1 at once.
on_signal() {
  interrupted=1
  signals=$((signals + 1))
  case $signals in
    1) [ -z "$job" ] || kill -USR1 "$job" 2>/dev/null || true ;;
    2) [ -z "$job" ] || kill -TERM "$job" 2>/dev/null || true ;;
    *) kill_job ;;
  esac
}

# mpirun, and what it has started here: ranks and the ways to other hosts.
kill_job() {
  local children
  [ -n "$job" ] || return 0
  children=$(children_of "$job")
  # shellcheck disable=SC2086  # a list of numbers
  kill -KILL "$job" $children 2>/dev/null || true
}

children_of() { cat "/proc/$1/task/$1/children" 2>/dev/null || true; }

on_last_words() {
  interrupted=1
  [ -z "$alarm" ] || return 0
  (trap - TERM INT HUP USR1 USR2; sleep "$end_bound"; kill -ALRM $$) &
  alarm=$!
}

on_alarm() {
  interrupted=1
  alarm=
  overdue=yes
  say "the ranks have not ended within $end_bound s of the failure: they are killed"
  kill_job
}

signals=0
job=
alarm=    # the process that gives the alarm; empty: none
overdue=  # the alarm was given
trap on_signal TERM INT HUP USR1
trap on_last_words USR2
trap on_alarm ALRM

run_job() {
  local messages filter
  overdue=
  exec {messages}> >(trap '' TERM INT HUP USR1; shorten_messages $$ >&2)
  filter=$!
  set -m  # a process group of its own, which the terminal's Ctrl-C does not reach
  "$@" </dev/null 2>&"$messages" {messages}>&- &
  job=$!
  set +m
  exec {messages}>&-
  await "$job"
  job=
  [ -z "$overdue" ] || status=5
  if [ -n "$alarm" ]; then
    # shellcheck disable=SC2046  # a list of numbers
    kill $(children_of "$alarm") "$alarm" 2>/dev/null || true
    alarm=
  fi
  # What outlives mpirun may hold the other end: no longer than a moment.
  timeout 2 tail -s 0.05 --pid="$filter" -f /dev/null || kill "$filter" 2>/dev/null || true
}

# Waits for a child through signals; its exit status goes to `status`.
await() {
  while :; do
    interrupted=0
    status=0
    wait "$1" 2>/dev/null || status=$?
    [ "$interrupted" = 1 ] || break
  done
}
