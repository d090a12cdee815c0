# launch/mpirun --restarts K: the run folder is fixed before the first start, and every further start resumes in it.
# Sourced, with run_folder.bash.

first_delay=${LOCKSTEP_RESTART_SECONDS:-2}  # before the first start without progress; doubled with every further one
most_delay=60                               # seconds
most_fruitless=3                            # starts in a row without a newer checkpoint

# Prints the run folder: that of --output; with --resume the newest of the recipe; else a new one.
choose_folder() {
  local runs newest
  if [ -n "$output" ]; then echo "$output"; return; fi
  [[ $resume != *=* ]] || complain "--restarts with $resume: expected --output DIR too, where all starts write"
  runs=$(runs_of "$recipe")
  mkdir -p "$runs"
  newest=$(find "$runs" -mindepth 1 -maxdepth 1 -type d -regex '.*/0*[1-9][0-9]*' -printf '%f\n' | sort -n | tail -n 1)
  if [ -n "$resume" ] && [ -n "$newest" ]; then echo "$runs/$newest"; return; fi
  newest=$((10#${newest:-0}))
  while :; do  # exclusively, also beside another launch/mpirun
    newest=$((newest + 1))
    if mkdir "$(printf '%s/%03d' "$runs" "$newest")" 2>/dev/null; then printf '%s/%03d\n' "$runs" "$newest"; return; fi
    [ -d "$(printf '%s/%03d' "$runs" "$newest")" ] ||
      complain "$runs: no folder can be made in it; choose one with --output"
  done
}

pause() {  # SECONDS, or until a signal
  [ "$signals" = 0 ] || return 0
  sleep "$1" &
  wait "$!" || true
  kill "$!" 2>/dev/null || true
}

# After the delay asks all hosts; those that do not answer are left out of the next start.
ask_hosts_again() {  # DELAY
  local before=("${slots[@]}")
  pause "$1"
  [ "$signals" = 0 ] && [ ${#hosts[@]} -gt 0 ] || return 0
  look_at_hosts "${hosts[@]}"
  [ ${#slots[@]} -gt 0 ] || slots=("${before[@]}")
  [ ${#silent[@]} = 0 ] || say "no answer from ${silent[*]}: starts on ${slots[*]}"
}

run_with_restarts() {
  local folder step newest fruitless=0 delay=$first_delay start=0 argument rest=()
  read_run "${arguments[@]:1}"
  folder=$(choose_folder)
  [ -n "$output" ] || arguments+=(--output "$folder")
  while :; do
    step=$(newest_step "$folder")
    run_job "${command[@]}" "$lockstep" "${arguments[@]}"
    case $status in 0 | 2 | 3 | 75) return ;; esac
    [ "$signals" = 0 ] || return 0
    if [ "$start" -ge "$restarts" ]; then say "exit status $status after $restarts restarts: gives up"; return; fi

    newest=$(newest_step "$folder")
    if [ "$newest" -gt "$step" ]; then fruitless=0 delay=$first_delay; else fruitless=$((fruitless + 1)); fi
    if [ "$fruitless" -ge "$most_fruitless" ]; then
      say "exit status $status, and $fruitless starts brought no checkpoint newer than step $newest: gives up"
      return
    fi
    start=$((start + 1))
    say "exit status $status: starts again from step $newest in $delay s (restart $start of $restarts)"
    ask_hosts_again "$delay"
    [ "$signals" = 0 ] || { status=75; return; }
    delay=$((2 * delay < most_delay ? 2 * delay : most_delay))
    rest=()
    for argument in "${arguments[@]}"; do [[ $argument = --resume || $argument = --resume=* ]] || rest+=("$argument"); done
    arguments=("${rest[@]}" --resume)
    compose
  done
}
