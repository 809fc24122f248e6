"""Measurements: `python -m bench` prints one JSON; a suite is a module with a function for its numbers."""
