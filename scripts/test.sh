#!/usr/bin/env bash
# What `make test` checks: lint, types, tests; as root also the user-namespace tests again as an
# ordinary user (scripts/as_nobody.sh). With arguments, which go to pytest, only those tests:
#   scripts/test.sh tests/checkers -k bank
# Groups of tests, by their marks (tests/groups.py): pure ones run in parallel, a worker for each
# core. Those that touch the machine mostly wait, and come after them, in lanes beside each other: in
# containers, with an engine where root can start one (scripts/engine.sh); in none, two files at a
# time; and as an ordinary user. Those of real databases, two files at a time, begin when those in
# containers end: they leave more than half of two cores idle. (Beside the pure ones, at whatever
# priority, nothing is gained: both cores are busy then, and tests of either kind miss limits of
# their own.) What fails keeps nothing else from running; all of it is listed at the end, with the
# tests that cost the most, and the code is the first failure's.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
export PATH=$PWD/$bin:$PATH # a browser that setup.sh fetched lies there
# Tests start thousands of Pythons: each would compile all that it imports where it may not keep it.
unset PYTHONDONTWRITEBYTECODE
kept=$(mktemp -d)
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export POLYGRAPH_FAILURES=$kept/failures
export POLYGRAPH_COSTS=$kept/costs
code=0
results=()

# Ctrl-C reaches what runs in the background too, which would ignore it otherwise: as a group of its
# own, to which it is passed on; and it may put away what it has made.
background() { # output, command...
  local output=$1; shift
  set -m
  "$@" >"$output" 2>&1 &
  set +m
}

stop() {
  local each
  for each in $(jobs -p); do # also one that was started a moment ago
    kill -INT -- "-$each" 2>/dev/null
  done
  wait
  rm -rf -- "$kept"
}

result() { # name, code
  results+=("$1: $([ "$2" = 0 ] && echo good || echo "FAILED ($2)")")
  [ "$code" != 0 ] || code=$2
}

pure() {
  echo "== pure tests, $(nproc) at a time"
  $bin/python -m pytest --group pure -n "$(nproc)" --dist worksteal "$@"
}

containers() {
  echo "== tests in containers, as $(id -un 2>/dev/null || id -u)"
  scripts/engine.sh $bin/python -m pytest --group containers "$@"
}

alone() {
  echo "== other tests that touch the machine, as $(id -un 2>/dev/null || id -u)"
  $bin/python -m pytest --group alone -n 2 --dist loadfile "$@"
}

databases() {
  echo "== tests of real databases, as $(id -un 2>/dev/null || id -u)"
  $bin/python -m pytest --group databases -n 2 --dist loadfile "$@"
}

nobody() {
  echo "== user-namespace tests again, as an ordinary user"
  scripts/as_nobody.sh
}

title() {
  case $1 in
    containers) echo "tests in containers" ;;
    alone) echo "other tests that touch the machine" ;;
    databases) echo "tests of real databases" ;;
    nobody) echo "user-namespace tests as an ordinary user" ;;
  esac
}

summary() {
  echo "== results"
  printf '%s\n' "${results[@]}"
  if [ -s "$POLYGRAPH_COSTS" ]; then
    echo "== the costliest of $(wc -l <"$POLYGRAPH_COSTS") tests: processor seconds, seconds by the clock"
    sort -rn "$POLYGRAPH_COSTS" | head -n 20
    awk '{ all += $1 } END { printf "%d\tall tests\n", all }' "$POLYGRAPH_COSTS"
  fi
  [ ! -s "$POLYGRAPH_FAILURES" ] || sort -u "$POLYGRAPH_FAILURES"
  exit "$code"
}

if [ $# -gt 0 ]; then
  ran=0
  for group in pure containers alone databases; do
    # Code 5: no test of the group is meant. Asked first, so that no engine starts for nothing.
    $bin/python -m pytest --group $group --collect-only -q "$@" >"$kept/listed" 2>&1
    case $? in
      0) ran=1; $group "$@"; result "$group tests" $? ;;
      5) ;;
      *) cat "$kept/listed"; result "looking for $group tests" 1; summary ;;
    esac
  done
  [ $ran = 1 ] || { echo "no test is meant by: $*" >&2; exit 5; }
  summary
fi

echo "== lint"
$bin/ruff check . && $bin/ruff format --check .
result lint $?
# Types are checked beside the pure tests, which it disturbs least: they only take longer.
background "$kept/types" nice $bin/mypy
types=$!
# So is the image of containers built, which takes minutes where there is none, and mostly waits.
image=
if [ "$(id -u)" = 0 ]; then
  background "$kept/image" scripts/engine.sh $bin/python -c \
    'from harness.cluster.docker import engine, images
images.ensure_node_image(engine.connect(), print)'
  image=$!
fi
pure
result "pure tests" $?
[ -z "$image" ] || wait $image || tail -n 3 "$kept/image" # the tests that need it will tell
wait $types
result types $?
echo "== types"
cat "$kept/types"
lanes=(containers alone)
[ "$(id -u)" != 0 ] || lanes+=(nobody)
lane=()
for each in "${lanes[@]}"; do
  background "$kept/$each" $each
  lane+=($!)
done
for ((each = 0; each < ${#lanes[@]}; each++)); do
  wait "${lane[$each]}"
  ended=$? # the next line asks a command for the title
  result "$(title "${lanes[$each]}")" $ended
  cat "$kept/${lanes[$each]}"
  if [ "${lanes[$each]}" = containers ]; then
    background "$kept/databases" databases
    lanes+=(databases)
    lane+=($!)
  fi
done
summary
