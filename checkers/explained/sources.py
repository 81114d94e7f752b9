"""The papers that anomalies and models come from, by a short name.

A section or chapter stands beside an entry only where it is certain; elsewhere the work alone.
"""

from __future__ import annotations

from typing import Final

from harness.verdict.explanation import Source

_WORKS: Final = {
    "adya99": (
        "Adya",
        1999,
        "Weak Consistency: A Generalized Theory and Optimistic Implementations for Distributed"
        " Transactions",
    ),
    "adya00": ("Adya, Liskov and O'Neil", 2000, "Generalized Isolation Level Definitions"),
    "basiri": ("Basiri et al.", 2016, "Chaos Engineering"),
    "berenson": ("Berenson et al.", 1995, "A Critique of ANSI SQL Isolation Levels"),
    "bailis": ("Bailis et al.", 2013, "Highly Available Transactions: Virtues and Limitations"),
    "ramp": ("Bailis et al.", 2014, "Scalable Atomic Visibility with RAMP Transactions"),
    "cerone": (
        "Cerone, Bernardi and Gotsman",
        2015,
        "A Framework for Transactional Consistency Models with Atomic Visibility",
    ),
    "cerone16": ("Cerone and Gotsman", 2016, "Analysing Snapshot Isolation"),
    "daudjee": ("Daudjee and Salem", 2006, "Lazy Database Replication with Snapshot Isolation"),
    "bernstein": (
        "Bernstein, Hadzilacos and Goodman",
        1987,
        "Concurrency Control and Recovery in Database Systems",
    ),
    "zuikeviciute": (
        "Zuikeviciute and Pedone",
        2005,
        "Correctness Criteria for Database Replication: Theoretical and Practical Aspects",
    ),
    "rola": (
        "Liu et al.",
        2018,
        "ROLA: A New Distributed Transaction Protocol and Its Formal Analysis",
    ),
    "elle": (
        "Kingsbury and Alvaro",
        2020,
        "Elle: Inferring Isolation Anomalies from Experimental Observations",
    ),
    "herlihy": (
        "Herlihy and Wing",
        1990,
        "Linearizability: A Correctness Condition for Concurrent Objects",
    ),
    "lamport": (
        "Lamport",
        1979,
        "How to Make a Multiprocessor Computer That Correctly Executes Multiprocess Programs",
    ),
    "ahamad": (
        "Ahamad et al.",
        1995,
        "Causal Memory: Definitions, Implementation, and Programming",
    ),
    "lipton": ("Lipton and Sandberg", 1988, "PRAM: A Scalable Shared Memory"),
    "terry": (
        "Terry et al.",
        1994,
        "Session Guarantees for Weakly Consistent Replicated Data",
    ),
    "bouajjani": (
        "Bouajjani, Enea, Guerraoui and Hamza",
        2017,
        "On Verifying Causal Consistency",
    ),
    "biswas": (
        "Biswas and Enea",
        2019,
        "On the Complexity of Checking Transactional Consistency",
    ),
    "sovran": ("Sovran et al.", 2011, "Transactional Storage for Geo-Replicated Systems"),
    "papadimitriou": (
        "Papadimitriou",
        1979,
        "The Serializability of Concurrent Database Updates",
    ),
    "kingsbury": ("Kingsbury", 2013, "Jepsen (jepsen.io), the library's checkers and tests"),
    "burrows": ("Burrows", 2006, "The Chubby Lock Service for Loosely-Coupled Distributed Systems"),
}


def sources(*names: str) -> tuple[Source, ...]:
    """The works named; ``adya00 5.2`` adds the section, ``adya99 ch 4`` the chapter."""
    return tuple(map(_source, names))


def _source(name: str) -> Source:
    work, _, where = name.partition(" ")
    authors, year, title = _WORKS[work]
    told = where.replace("ch ", "chapter ") if where.startswith("ch ") else where
    if told and not told.startswith("chapter"):
        told = f"section {told}"
    return Source(authors=authors, year=year, title=title, where=told)
