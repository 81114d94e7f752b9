#!/usr/bin/env bash
# A client of Polygraph in bash: registers of a service that speaks lines of JSON over TCP.
# Keys are text or numbers, values numbers; the protocol is told in docs/client-protocol.md.
set -u

field() { # NAME LINE: the value of a key of a flat JSON object, as it stands there
  [[ $2 =~ \"$1\":\ *(\"[^\"]*\"|[^,}]*) ]] && printf '%s' "${BASH_REMATCH[1]}"
}

say() { printf '{"id": %s, "type": "%s"%s}\n' "$id" "$1" "${2:-}"; }

# What cannot have happened is fail, what may have is info: up to here nothing was sent.
connect() {
  connected || { exec 3<>"/dev/tcp/${address%:*}/${address##*:}"; } 2>/dev/null || return 1
  up=1
}
connected() { [ "${up:-}" = 1 ]; }
drop() { exec 3>&-; up=; } 2>/dev/null

# ask REQUEST IN_DOUBT: sends it once, and says IN_DOUBT if no whole answer comes in time.
ask() {
  connect || { say fail ', "error": "connect"'; return 1; }
  if ! printf '%s\n' "$1" >&3 2>/dev/null || ! IFS= read -r -t "$timeout" answer <&3; then
    drop
    say "$2" ', "error": "no answer"'
    return 1
  fi
  [[ $answer != *'"error"'* ]] || { say "$2" ", \"error\": $(field error "$answer")"; return 1; }
}

trap '' PIPE
while IFS= read -r line; do
  id=$(field id "$line") call=$(field call "$line") key=$(field key "$line")
  call=${call//\"/} key=${key//\"/}
  case $call in
    abilities) say ok ', "value": ["Registers"]' ;;
    open)
      address=$(field address "$line") address=${address//\"/}
      limit=$(field op_timeout_s "$line")
      timeout=$(printf '%s' "$limit" | awk '{ print $1 * 0.8 }') # before the operation's time is over
      connect && say ok || say fail ', "error": "connect"'
      ;;
    read)
      ask "{\"f\": \"get\", \"key\": \"$key\"}" fail &&
        say ok ", \"value\": $(field value "$answer")"
      ;;
    write)
      ask "{\"f\": \"put\", \"key\": \"$key\", \"value\": $(field value "$line")}" info && say ok
      ;;
    compare_and_set)
      old=$(field old "$line") new=$(field new "$line")
      ask "{\"f\": \"cas\", \"key\": \"$key\", \"old\": $old, \"new\": $new}" info &&
        say ok ", \"value\": $(field value "$answer")"
      ;;
    *) say fail ", \"error\": \"no such call\"" ;;
  esac
done
