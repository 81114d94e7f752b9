"""What runs on an ssh host, copied over at every arrival: the keeper of a node and how it is met.

Nothing here may import anything but Python's standard library (3.7 or later) and its neighbours
in this folder, and those relatively: on the host the folder is a package of its own, ``hands``,
and the rest of the harness is not there. A host needs python3 and, for partitions, nft or
iptables; nothing is installed, and all of it goes with the run.
"""
