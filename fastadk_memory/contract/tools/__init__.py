"""What laws of many clauses use."""
