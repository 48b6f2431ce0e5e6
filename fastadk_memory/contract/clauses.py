"""The clauses of the contract: ids, titles, and which of them belong to a capability.

The sentences are those of docs/contract.md, in short; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastadk_memory.base import Capability

__all__ = ["ALL_TOGETHER", "CLAUSES", "CONTRACT_VERSION", "Clause"]

CONTRACT_VERSION = "1.0"
"""The version of the clauses and of the suite that checks them."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of the contract.

    Attributes:
        id: What tests, reports and docstrings call it, such as `T4`.
        title: The clause in a few words, as docs/contract.md heads it.
        capability: The capability that the clause is about; `None` if it is about all
            backends.
    """

    id: str
    title: str
    capability: Capability | None = None


_TABLE = (
    Clause("K1", "What a key is"),
    Clause("K2", "Keys are exact and opaque"),
    Clause("K3", "Keys come back as they were set"),
    Clause("V1", "The domain"),
    Clause("V2", "The round trip is exact"),
    Clause("V3", "A stored None is no absent key"),
    Clause("V4", "Values are copies"),
    Clause("V5", "What cannot be stored is refused whole"),
    Clause("V6", "Large values work"),
    Clause("T1", "What a TTL is"),
    Clause("T2", "Expired is absent"),
    Clause("T3", "Never gone early"),
    Clause("T4", "set replaces the expiry too"),
    Clause("T5", "ttl rounds up"),
    Clause("T6", "Reading does not extend"),
    Clause("T7", "Space comes back"),
    Clause("P1", "Patterns are fnmatchcase, exactly"),
    Clause("P2", "What a pattern is"),
    Clause("P3", "Escaping works"),
    Clause("P4", "Hostile patterns finish"),
    Clause("C1", "clear removes its own"),
    Clause("C2", "clear_pattern removes what keys shows"),
    Clause("C3", "Clearing is not closing"),
    Clause("C4", "Deleting what is absent is no error"),
    Clause("N1", "Namespaces never see each other"),
    Clause("N2", "Namespace and key never collide"),
    Clause("X1", "Operations on a key are linearizable"),
    Clause("X2", "A cancelled call has happened or has not"),
    Clause("X3", "One object, any loop"),
    Clause("X4", "No half values"),
    Clause("L1", "Opening is implicit, closing is final"),
    Clause("L2", "Closing loses nothing"),
    Clause("L3", "Closing leaves nothing"),
    Clause("H1", "health_check answers"),
    Clause("E1", "One tree of errors"),
    Clause("E2", "Away, hung, back"),
    Clause("E3", "Damage stays where it is"),
    Clause("E4", "No password in sight"),
    Clause("D1", "PERSISTENT", Capability.PERSISTENT),
    Clause("D2", "DURABLE_PROCESS", Capability.DURABLE_PROCESS),
    Clause("U1", "CAS", Capability.CAS),
    Clause("M1", "TOUCH", Capability.TOUCH),
    Clause("B1", "Bulk equals single"),
    Clause("S1", "scan is complete"),
)

CLAUSES: dict[str, Clause] = {clause.id: clause for clause in _TABLE}
"""Every clause by its id, in the order of docs/contract.md."""

ALL_TOGETHER = "ALL"
"""What laws carry instead of a clause's id that hold all clauses together.

A random sequence of operations may break any clause; when it does, the failure names the
clause that was broken.
"""
