#!/usr/bin/env bash
# Gets this checkout ready for `make demo`, `make quick` or `make test`: a virtual environment in
# .venv with the packages of constraints.txt. Run again it compares one stamp and ends at once.
# System packages are installed only as root, only when something is missing, and said first.
# Exit codes: 0 ready, 3 something is missing that only you can provide.
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:?demo, quick or test}
venv=.venv
stamp=$venv/ready-test
case $purpose in
  demo) extras=local,etcd,plots,zstd,uvloop stamp=$venv/ready-demo ;;
  quick | test) extras=test ;; # quick does without the system packages
  *) echo "setup: unknown purpose $purpose (demo, quick or test)" >&2; exit 4 ;;
esac

need() { # what is missing, and how to get it
  printf 'setup: %s\n  needed: %s\n' "$1" "$2" >&2
  exit 3
}

install_packages() { # why, package...
  local why=$1; shift
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    need "$why" "the system package(s) $* (as root: apt-get install $*)"
  fi
  echo "setup: $why; installing system package(s) with apt-get: $*"
  apt-get update -qq || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    need "apt-get could not install $*" "$* by hand"
}

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() { # the first Python 3.11 or newer
  local candidate
  for candidate in ${PYTHON:-} python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && is_recent "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
}

stamp_text() { cat pyproject.toml constraints.txt | sha256sum; }

is_ready() {
  [ -x $venv/bin/polygraph ] && [ -x $venv/bin/python ] || return 1
  local each text
  text=$(stamp_text)
  for each in "$stamp" "$venv/ready-test"; do
    [ -f "$each" ] && [ "$(cat "$each")" = "$text" ] && return 0
  done
  return 1
}

make_venv() {
  local python
  python=$(find_python)
  if [ -z "$python" ]; then
    install_packages "there is no Python 3.11 or newer" python3 python3-venv
    python=$(find_python)
    [ -n "$python" ] || need "this system's python3 is older than 3.11" "Python 3.11 or newer"
  fi
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    install_packages "$python cannot make virtual environments" \
      "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  fi
  echo "setup: making $venv with $("$python" --version)"
  "$python" -m venv --clear $venv
}

prepare_venv() {
  [ -x $venv/bin/python ] && is_recent $venv/bin/python || make_venv
}

install_project() {
  echo "setup: installing polygraph-db[$extras]"
  $venv/bin/python -m pip install --quiet --disable-pip-version-check \
    -c constraints.txt -e ".[$extras]" ||
    need "pip could not install polygraph-db[$extras]" "a package index that pip can reach"
  stamp_text >"$stamp"
}

find_browser() {
  local candidate
  for candidate in chromium chromium-browser google-chrome $venv/bin/chromium; do
    command -v $candidate >/dev/null && return 0
  done
  return 1
}

fetch_browser() { # where the system has no package of it (that of Ubuntu is a snap)
  local fetched
  echo "setup: the report's tests need a browser; fetching playwright's, with its system packages"
  $venv/bin/playwright install --with-deps chromium ||
    need "no browser could be installed" "chromium or google-chrome on the path"
  fetched=$($venv/bin/python -c 'from playwright.sync_api import sync_playwright as start
with start() as playwright: print(playwright.chromium.executable_path)')
  ln -sf "$fetched" $venv/bin/chromium
}

has() { # all of these programs
  local program
  for program; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || return 1
  done
}

has_compose() { docker compose version >/dev/null 2>&1 || has docker-compose; }

has_postgresql() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; } # on no path

install_for_tests() { # in one go, as apt-get may run once at a time; none of it may start a server
  local wanted=() policy=/usr/sbin/policy-rc.d made=""
  # hosts of the ssh provider, whose tests start their own sshd
  has sshd ssh-keygen nft iptables sudo || wanted+=(openssh-server nftables iptables sudo)
  has cc as || wanted+=(gcc libc6-dev) # a test of clocks compiles a program that is signalled
  has zsh fish || wanted+=(zsh fish) # what is completed there is tried in them
  has strace || wanted+=(strace) # tests watch what is opened in and around a hostile run folder
  # scripts/engine.sh starts the engine; a test compares what compose starts with our own cluster
  has dockerd docker || wanted+=(docker.io iptables mmdebstrap)
  has_compose || wanted+=(docker-compose)
  # servers of databases: tests start their own, in folders of their own
  has_postgresql || wanted+=(postgresql)
  has mariadbd || wanted+=(mariadb-server)
  has redis-server redis-sentinel || wanted+=(redis-server redis-sentinel)
  if ! find_browser; then
    command -v apt-get >/dev/null && apt-get update -qq || true
    ! apt-cache show chromium 2>/dev/null | grep -q '^Filename' || wanted+=(chromium)
  fi
  [ ${#wanted[@]} -gt 0 ] || return 0
  [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; made=$policy; }
  ( install_packages "tests of this machine need more" "${wanted[@]}" ) || { rm -f "$made"; return 3; }
  [ -z "$made" ] || rm -f "$made"
}

# The interpreter may be one of the system's packages, so it comes before the others; those are
# unpacked while pip works. As an ordinary user the tests that need them are deselected and listed.
is_ready || prepare_venv
packages=
if [ "$purpose" = test ] && [ "$(id -u)" = 0 ]; then
  install_for_tests &
  packages=$!
fi
is_ready || install_project
[ -z "$packages" ] || wait $packages
if [ -n "$packages" ] && ! find_browser; then
  fetch_browser
fi
