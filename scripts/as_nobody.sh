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
  tar --null --files-from=- -cf - | tar -xf - -C "$copy/tree"
/usr/bin/python3 -m venv "$copy/venv"
# What the tests of this group import: no browser, no linters, and modules are compiled when used.
"$copy/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
  -c constraints.txt -e "$copy/tree[local,docker,ssh,etcd,plots,zstd,uvloop,web,fast]" \
  build hatchling httpx2 hypothesis jsonschema junitparser pytest pytest-timeout pyyaml
chown -R $user:$user "$copy"
cd "$copy/tree"
as_user "$copy/venv/bin/python" -m pytest -m userns -p no:cacheprovider
