"""Expiry: when an entry ends, who looks, and what it holds (clauses T1 to T7)."""
