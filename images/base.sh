#!/bin/sh
# Writes a root file system like debian:bookworm-slim to standard output as a tar archive, made
# from Debian's packages: for machines that reach Debian's archive but no registry of images.
#   images/base.sh | docker import -c 'CMD ["bash"]' - debian:bookworm-slim
# Needs mmdebstrap (also as an ordinary user) or, as root, debootstrap. Takes about half a minute.
set -eu
suite=${1:-bookworm}

if command -v mmdebstrap >/dev/null; then
  exec mmdebstrap --variant=minbase --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    "$suite" -
fi
if command -v debootstrap >/dev/null && [ "$(id -u)" = 0 ]; then
  folder=$(mktemp -d)
  trap 'rm -rf -- "$folder"' EXIT
  debootstrap --variant=minbase "$suite" "$folder" >&2
  rm -rf -- "$folder"/var/cache/apt/archives/*.deb
  tar --numeric-owner -C "$folder" -cf - .
  exit
fi
echo "needs mmdebstrap, or debootstrap as root (apt-get install mmdebstrap)" >&2
exit 3
