#!/usr/bin/env bash
# Runs a command with a Docker engine that answers. Where none does, and we are root, one is
# installed from Debian's packages and started for as long as the command runs; where it cannot
# be, the reason is said and the command runs without (tests marked `docker` are then deselected
# and listed).
#   scripts/engine.sh COMMAND [ARGUMENT...]
# Several of these at once, as root, share the engine that the first has started: whoever ends last
# stops it, so that none loses its engine in the middle. An engine that was there stays.
set -uo pipefail

state=${POLYGRAPH_ENGINE_STATE:-/run/polygraph-engine}
[ -w "$(dirname "$state")" ] || state=/tmp/polygraph-engine

answers() { timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

is_there() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = dockerd ] && ! is_zombie "$1"; }
is_zombie() { grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

# Stops the engine if one of us started it and nobody else is using it.
stop() {
  flock --exclusive --nonblock 9 || return 0
  local pid
  pid=$(cat "$state.pid" 2>/dev/null) || return 0
  rm -f -- "$state.pid"
  is_there "$pid" || return 0
  kill "$pid" 2>/dev/null
  for _ in $(seq 300); do
    is_there "$pid" || break
    sleep 0.1
  done
}

if [ "$(id -u)" != 0 ] || ! command -v flock >/dev/null; then
  if ! answers; then
    echo "engine: no Docker engine answers this user; tests that need docker are NOT run" >&2
  fi
  exec "$@"
fi
exec 8>>"$state.starting" 9>>"$state.lock"
flock --shared 9 # waits while another stops it
trap stop EXIT
flock --exclusive 8 # one of us starts it
if answers; then
  flock --unlock 8
  "$@" 8>&- 9>&-
  exit
fi
why=""
if ! command -v dockerd >/dev/null && ! command -v apt-get >/dev/null; then
  why="there is no dockerd and no apt-get to install it"
elif ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
  echo "engine: installing docker.io with apt-get"
  apt-get update -qq || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    docker.io iptables mmdebstrap >/dev/null || why="apt-get could not install docker.io"
fi
if [ -z "$why" ] && ! { docker compose version || command -v docker-compose; } >/dev/null 2>&1; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    docker-compose >/dev/null || echo "engine: docker-compose could not be installed" >&2
fi
if [ -n "$why" ]; then
  echo "engine: $why; tests that need docker are NOT run" >&2
  flock --unlock 8
  "$@" 8>&- 9>&-
  exit
fi

log=$(mktemp)
trap 'rm -f -- "$log"; stop' EXIT
setsid dockerd >"$log" 2>&1 </dev/null 8>&- 9>&- &
engine=$!
echo "$engine" >"$state.pid"
for _ in $(seq 60); do
  answers && break
  kill -0 "$engine" 2>/dev/null || break
  sleep 0.5
done
if answers; then
  echo "engine: started Docker $(docker version --format '{{.Server.Version}}')"
else
  echo "engine: dockerd does not start here: $(tail -n 1 "$log")" >&2
  echo "engine: tests that need docker are NOT run" >&2
fi
flock --unlock 8
"$@" 8>&- 9>&-
