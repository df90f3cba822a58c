"""Proof: digests of everything on both sides, exact differences, and the report."""
