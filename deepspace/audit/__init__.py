"""Audit: the append-only log of every call and every administrative act, and the trace page made from it."""
