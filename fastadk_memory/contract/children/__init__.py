"""Other processes that use the store under test, or die while writing (clauses D2 and X1)."""
