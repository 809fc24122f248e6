"""What an organisation's latest calls cost, from its ledger entries. Standard library only.

python3 examples/spending.py [.deepspace/first-run.json]
"""

from __future__ import annotations

import json
import sys
import urllib.request
from decimal import Decimal
from pathlib import Path


def get(url: str, key: str) -> dict[str, object]:
    """Return the JSON at an address."""
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def main(path: Path) -> None:
    """Print the newest captures, their sum, and the wallet."""
    found = json.loads(path.read_text())
    base = f"{found['url']}/api/organizations/{found['organization_id']}"
    entries = get(f"{base}/transactions?limit=200", found["api_key"])["items"]
    captures = [entry for entry in entries if entry["type"] == "capture"]
    for entry in captures:
        print(entry["created_at"], entry["amount"], "trace", entry["trace_id"])
    print("sum", sum((Decimal(entry["amount"]) for entry in captures), Decimal(0)))
    wallet = get(f"{base}/wallet", found["api_key"])
    print("balance", wallet["balance"], wallet["currency"], "of which frozen", wallet["frozen"])


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ".deepspace/first-run.json"))
