# Where a run writes, from the arguments of `lockstep train`. Sourced.

# ARGUMENT…: sets `recipe`, and `output` and `resume` to what these options say.
read_run() {
  local argument previous=
  recipe= output= resume=
  for argument in "$@"; do
    case $previous in --set | --output) [ "$previous" = --set ] || output=$argument; previous=; continue ;; esac
    case $argument in
      --set | --output) previous=$argument ;;
      --output=*) output=${argument#*=} ;;
      --resume | --resume=*) resume=$argument ;;
      -*) ;;
      *) recipe=$argument ;;
    esac
  done
}

# runs/NAME of a recipe, as `lockstep train` names it: file and folder, unless that is `recipes` or the working
# directory.
runs_of() {
  local full stem folder
  full=$(realpath -ms -- "$1")
  stem=${full##*/}
  stem=${stem%.*}
  folder=${full%/*}
  if [ "$folder" = "$(pwd -P)" ]; then folder=; else folder=${folder##*/}; fi
  [ "$folder" != recipes ] || folder=
  echo "runs/${folder:+$folder-}$stem"
}

newest_step() {  # RUN_FOLDER: the step of its newest checkpoint; 0: there is none
  local step
  step=$(find "$1/checkpoints" -maxdepth 1 -name 'step-*.h5' -printf '%f\n' 2>/dev/null | sort | tail -n 1) || true
  step=${step#step-}
  echo $((10#0${step%.h5}))
}
