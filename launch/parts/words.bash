# WORD…: prints them as a shell reads them. Sourced.
words() {
  local word plain='^[[:alnum:]_./:=,@%+-]+$'
  for word in "$@"; do
    if [[ $word =~ $plain ]]; then printf '%s ' "$word"; else printf '%s ' "${word@Q}"; fi
  done
}
