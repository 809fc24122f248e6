"""The `deepspace` command."""
