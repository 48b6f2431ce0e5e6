"""Sequences of operations against a plain model (the laws over all clauses)."""
