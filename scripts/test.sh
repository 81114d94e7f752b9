#!/usr/bin/env bash
# Everything that `make test` checks: lint, types, tests; as root also the user-namespace tests
# again as an ordinary user (scripts/as_nobody.sh). Where no Docker engine answers one is started
# for the tests, as root (scripts/engine.sh). Ends with the first failure's code.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
export PATH=$PWD/$bin:$PATH # a browser that setup.sh fetched lies there

echo "== lint"
$bin/ruff check .
$bin/ruff format --check .
echo "== types"
$bin/mypy
echo "== tests as $(id -un 2>/dev/null || id -u)"
scripts/engine.sh $bin/python -m pytest "$@"
if [ "$(id -u)" = 0 ]; then
  echo "== user-namespace tests again as an ordinary user"
  scripts/as_nobody.sh
fi
