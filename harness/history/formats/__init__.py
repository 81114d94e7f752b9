"""The file formats that a history can be written in and read from, one module each.

``jsonl`` is ours (JSON lines), ``json`` the array that elle-cli reads, ``edn`` the lines of
Jepsen, Knossos and elle-cli: what one of these writes, it reads back with every field, the header
included (``jsonl``: the first line; ``json``: a last record of the nemesis; ``edn``: a comment).

Of other tools: ``jepsen-log`` (old Jepsen logs), ``plume``, ``awdit``, ``cobra``, ``dbcop``,
``dbcop-json`` and ``veristrong`` (transactions in sessions), ``etcd-operations`` and ``chaos``
(operations on keys). Most of them are written as well (:mod:`harness.history.formats.conversion`),
as far as they can say what there is.

:mod:`harness.history.formats.known` lists them all. Nothing is imported here: who writes or follows
a journal needs ``jsonl`` alone, and the others cost a fifth of a second.
"""
