"""DeepSpace Workflows: an open, self-hosted AI research platform. ARCHITECTURE.md is the map."""

__version__ = "0.1.0"
