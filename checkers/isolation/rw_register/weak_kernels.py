"""The loops of :mod:`~.weak_levels`: plain Python that numba also takes.

What is demanded goes into the rows of ``out``: the writer that is seen, the read that shows it, and
the writer that was read (-1: the initial state), as far as there is room; all are counted.
"""

from __future__ import annotations

from typing import Any


def place_of(key: int, low: int, high: int, keys: Any) -> int:
    """The first place of ``key`` in the sorted ``keys[low:high]``, or of what is greater."""
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


def demands_of_reads(
    in_order: bool,
    first_read: Any,
    read_writer: Any,
    read_key: Any,
    reads_by_key: Any,
    sorted_read_key: Any,
    first_write: Any,
    sorted_write_key: Any,
    seen_by: Any,
    out: Any,
) -> int:
    """Each read with the other writers of its key that its transaction read from (``in_order``:
    before it). The smaller of what the one wrote and the other read is gone through.
    """
    count = 0
    for txn in range(len(first_read) - 1):
        low, high = first_read[txn], first_read[txn + 1]
        for at in range(low, high):
            seen = read_writer[at]
            if seen < 0 or seen_by[seen] == txn:
                continue
            seen_by[seen] = txn
            begin, end = first_write[seen], first_write[seen + 1]
            if end - begin <= high - low:
                for write in range(begin, end):
                    key = sorted_write_key[write]
                    place = place_of(key, low, high, sorted_read_key)
                    while place < high and sorted_read_key[place] == key:
                        read = reads_by_key[place]
                        place += 1
                        if read_writer[read] != seen and (read > at or not in_order):
                            if count < out.shape[1]:
                                out[0, count], out[1, count] = seen, read
                                out[2, count] = read_writer[read]
                            count += 1
            else:
                for read in range(at + 1 if in_order else low, high):
                    key = read_key[read]
                    place = place_of(key, begin, end, sorted_write_key)
                    writes = place < end and sorted_write_key[place] == key
                    if writes and read_writer[read] != seen:
                        if count < out.shape[1]:
                            out[0, count], out[1, count] = seen, read
                            out[2, count] = read_writer[read]
                        count += 1
    return count


def demands_of_the_past(
    reads: Any,
    read_txn: Any,
    read_writer: Any,
    read_key: Any,
    key_groups: Any,
    group_chain: Any,
    group_first: Any,
    member_txn: Any,
    begins: Any,
    chain: Any,
    place: Any,
    clock: Any,
    found: Any,
    out: Any,
) -> int:
    """Each read with the last writer of its key in each chain that its transaction saw, but for
    those that came before the one that was read, or before another of them.
    """
    count = 0
    for read in reads:
        txn, key, writer, some = read_txn[read], read_key[read], read_writer[read], 0
        for group in range(key_groups[key], key_groups[key + 1]):
            mine = group_chain[group]
            limit = clock[txn, mine]
            if chain[txn] == mine:
                limit = min(limit, place[txn] - 1)
            low, high = group_first[group], group_first[group + 1]
            if begins[low] > limit:
                continue
            while low < high:
                middle = (low + high) // 2
                if begins[middle] <= limit:
                    low = middle + 1
                else:
                    high = middle
            one = member_txn[low - 1]
            if one == writer or (writer >= 0 and clock[writer, mine] >= begins[low - 1]):
                continue
            found[some] = one
            some += 1
        for at in range(some):
            one = found[at]
            hidden = False
            for rival in range(some):
                if rival != at and clock[found[rival], chain[one]] >= place[one]:
                    hidden = True
                    break
            if hidden:
                continue
            if count < out.shape[1]:
                out[0, count], out[1, count], out[2, count] = one, read, writer
            count += 1
    return count
