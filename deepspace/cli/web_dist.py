"""Where the built web app is: inside the wheel, or in the working tree."""

from __future__ import annotations

from pathlib import Path

import deepspace


def find_web_dist() -> Path | None:
    """Return the directory with index.html, or None if the web app is not built."""
    package = Path(deepspace.__file__).parent
    for candidate in (package / "static" / "web", package.parent / "apps" / "web" / "dist"):
        if (candidate / "index.html").is_file():
            return candidate
    return None
