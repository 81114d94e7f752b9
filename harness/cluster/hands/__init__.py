"""Everything that is done inside a node, written once and loaded by whoever sits in there.

The agent of a namespace imports it from here. Into a docker node's side-car and onto an ssh host it
is copied, as a package of its own, ``hands``, without the rest of the harness. So nothing here may
import anything but Python's standard library (3.7 or later) and its neighbours in this folder, and
those relatively. What can be asked for is the table of :mod:`.inside`; a host needs python3 and,
for partitions, nft or iptables; nothing is installed, and all of it goes with the run.

Who sits there: :mod:`harness.cluster.namespaces.agent`, :mod:`.sidecar`, :mod:`.keeper` (met by
:mod:`.arrival`). What they stand on, from one process outward: :mod:`.execution`, :mod:`.family`,
:mod:`.daemons`, :mod:`.processes`.
"""
