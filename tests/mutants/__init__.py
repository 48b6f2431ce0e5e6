"""Deliberately broken backends: proof that each clause of the contract suite has teeth.

`reference.py` holds a backend that keeps every clause; each other module breaks some of them, one
mutant at a time. `teeth.py` puts each mutant to the laws of the clause it breaks.
"""
