"""Concurrent calls: schedules, histories, and whether they can be explained (clauses X1 to X4)."""
