"""`python -m deepspace` is the same as the `deepspace` command."""

from deepspace.cli.main import app

if __name__ == "__main__":
    app()
