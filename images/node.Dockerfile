# The image of a node: the side-car that owns a node's network and process namespaces, from which
# faults are done and into which ssh leads. It also serves databases that bring a program of their
# own and need nothing but a C library. Built by `polygraph test --provider docker` where it is
# missing, by `docker compose build`, or by hand: docker build -f images/node.Dockerfile images
FROM debian:bookworm-slim

# policy-rc.d keeps packages from starting services while they are installed.
RUN printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      busybox-static ca-certificates curl iproute2 iptables iputils-ping netcat-openbsd nftables \
      openssh-server procps psmisc python3-minimal libpython3-stdlib sudo \
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_*_key*

COPY node.sh /usr/local/bin/polygraph-node
RUN chmod 755 /usr/local/bin/polygraph-node

EXPOSE 22
CMD ["polygraph-node"]
