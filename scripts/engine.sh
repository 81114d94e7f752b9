#!/usr/bin/env bash
# Runs a command with a Docker engine that answers. Where none does, and we are root, one is
# installed from Debian's packages and started for as long as the command runs; where it cannot
# be, the reason is said and the command runs without (tests marked `docker` are then deselected
# and listed).
#   scripts/engine.sh COMMAND [ARGUMENT...]
set -uo pipefail

answers() { timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

if answers; then
  exec "$@"
fi
why=""
if [ "$(id -u)" != 0 ]; then
  why="no Docker engine answers this user"
elif ! command -v dockerd >/dev/null && ! command -v apt-get >/dev/null; then
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
  exec "$@"
fi

log=$(mktemp)
setsid dockerd >"$log" 2>&1 </dev/null &
engine=$!
stop() {
  kill "$engine" 2>/dev/null && wait "$engine" 2>/dev/null
  rm -f -- "$log"
}
trap stop EXIT
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
"$@"
