#!/bin/sh
# What a node does by itself: it stays. Where a public key is given (POLYGRAPH_AUTHORIZED_KEY), it
# also lets its owner in by ssh, as root and as the user `polygraph`, who may use sudo.
set -eu

serve_ssh() {
  ssh-keygen -A >/dev/null
  id polygraph >/dev/null 2>&1 || useradd --create-home --shell /bin/sh polygraph
  echo 'polygraph ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/polygraph
  for home in ~root ~polygraph; do
    mkdir -p "$home/.ssh"
    printf '%s\n' "$POLYGRAPH_AUTHORIZED_KEY" >"$home/.ssh/authorized_keys"
    chmod 700 "$home/.ssh"
    chmod 600 "$home/.ssh/authorized_keys"
  done
  chown -R polygraph: ~polygraph/.ssh
  mkdir -p /run/sshd
  exec /usr/sbin/sshd -D -e -o UseDNS=no -o PasswordAuthentication=no \
    -o MaxStartups=200:30:400 -o MaxSessions=100
}

[ -z "${POLYGRAPH_AUTHORIZED_KEY:-}" ] || serve_ssh
exec sleep infinity
