"""The independent auditor: `python tests/chaos/auditor.py DATABASE_URL [RECORD …] [--settled] [--all-told]`.

It reads the database and what clients noted themselves (JSON lines), and recomputes everything: balances from
movements, frozen amounts from open holds, budgets from their calls, each cost from tokens × price. It imports
nothing of the platform. It prints what is wrong, one line each, and exits 1; or the totals, and exits 0.

--settled: no call of the records may be open any more.
--all-told: every charge of the organisations in the records was told to a client, to the last nano.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

Rows = list[dict[str, Any]]
INPUT = {"input", "cached_input", "cache_write", "cache_write_1h", "image_input", "audio_input"}
COLUMNS = {
    "input": "input_tokens",
    "cached_input": "cached_input_tokens",
    "cache_write": "cache_write_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
}


class Auditor:
    """Collects findings."""

    def __init__(self, url: str, records: list[dict[str, Any]]) -> None:
        """Read everything once, in one snapshot."""
        self.findings: list[str] = []
        self.records = records
        with psycopg.connect(url, row_factory=dict_row) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

            def table(name: str) -> Rows:
                return connection.execute(f"SELECT * FROM {name}".encode()).fetchall()

            self.wallets, self.holds = table("wallets"), table("holds")
            self.movements, self.usage = table("transactions"), table("usage_records")
            self.prices = {row["id"]: row for row in table("prices")}
            self.counters = table("budget_counters")
            self.journal = connection.execute(
                "SELECT event, detail->>'hold_id' AS hold FROM audit_logs"
                " WHERE event IN ('call.captured', 'call.released')"
            ).fetchall()

    def wrong(self, text: str) -> None:
        """Note a finding."""
        self.findings.append(text)

    def wallets_are_sums(self) -> None:
        """Balance = movements in − out; frozen = open holds; nothing below the limit."""
        net: Counter[int] = Counter()
        for row in self.movements:
            net[row["credit_account"]] += row["amount_nano"]
            net[row["debit_account"]] -= row["amount_nano"]
        if sum(net.values()):
            self.wrong(f"all accounts together come to {sum(net.values())}, not 0")
        frozen: Counter[int] = Counter()
        for hold in self.holds:
            frozen[hold["wallet_id"]] += hold["amount_nano"] if hold["state"] == "held" else 0
        for row in self.wallets:
            if row["balance_nano"] != net[row["id"]]:
                self.wrong(f"wallet {row['id']}: balance {row['balance_nano']}, movements {net[row['id']]}")
            if row["frozen_nano"] != frozen[row["id"]]:
                self.wrong(f"wallet {row['id']}: frozen {row['frozen_nano']}, holds {frozen[row['id']]}")
            if row["balance_nano"] - row["frozen_nano"] + row["credit_limit_nano"] < 0:
                self.wrong(f"wallet {row['id']} is overspent")

    def budgets_are_sums(self) -> None:
        """A budget holds what its open calls hold, and has spent no less than its calls were charged."""
        held: Counter[int] = Counter()
        spent: Counter[int] = Counter()
        for hold in self.holds:
            for counter in hold["counter_ids"]:
                held[counter] += hold["amount_nano"] if hold["state"] == "held" else 0
                spent[counter] += hold["captured_nano"] - hold["refunded_nano"]
        for row in self.counters:
            if row["held_nano"] != held[row["id"]]:
                self.wrong(f"budget counter {row['id']}: held {row['held_nano']}, calls {held[row['id']]}")
            if row["spent_nano"] < spent[row["id"]]:
                self.wrong(f"budget counter {row['id']}: spent {row['spent_nano']} < {spent[row['id']]}")

    def calls_are_charged_once(self) -> None:
        """A captured call has one usage record and one capture; a reference is charged once."""
        moved: dict[tuple[Any, str], list[int]] = defaultdict(list)
        for row in self.movements:
            moved[row["hold_id"], row["type"]].append(row["amount_nano"])
        usage = {row["hold_id"]: row for row in self.usage}
        charged: Counter[tuple[Any, str]] = Counter()
        for hold in self.holds:
            name = f"call {hold['billing_ref_id']}"
            captures, absorbed = moved[hold["id"], "capture"], sum(moved[hold["id"], "absorb"])
            captured = hold["state"] == "captured"
            if captures != ([hold["captured_nano"]] if hold["captured_nano"] else []):
                self.wrong(f"{name}: captured {hold['captured_nano']}, movements {captures}")
            if sum(moved[hold["id"], "refund"]) != hold["refunded_nano"]:
                self.wrong(f"{name}: refunds do not add up")
            if captured != (hold["id"] in usage):
                self.wrong(f"{name}: state {hold['state']}, usage record {hold['id'] in usage}")
            elif captured and usage[hold["id"]]["cost_nano"] != hold["captured_nano"] + absorbed:
                self.wrong(f"{name}: cost {usage[hold['id']]['cost_nano']} is not what was taken")
            charged[hold["org_id"], hold["billing_ref_id"]] += captured
        self.findings += [f"reference {key[1]} is charged {n} times" for key, n in charged.items() if n > 1]

    def costs_are_tokens_times_price(self) -> None:
        """Compute every cost again, in fractions."""
        by_id = {hold["id"]: hold for hold in self.holds}
        for row in self.usage:
            price = self.prices.get(row["price_id"])
            hold = by_id.get(row["hold_id"])
            if price is None or hold is None or hold["price_id"] != row["price_id"]:
                self.wrong(f"usage of {row['hold_id']}: no such call or price")
                continue
            cost = cost_of(row, price)
            if row["cost_nano"] != cost:
                self.wrong(f"usage of {row['hold_id']}: cost {row['cost_nano']}, recomputed {cost}")

    def every_end_is_in_the_journal(self) -> None:
        """A call that ended has exactly one journal row that says so."""
        ends = Counter(row["hold"] for row in self.journal)
        for hold in self.holds:
            expected = 0 if hold["state"] == "held" else 1
            if ends[str(hold["id"])] != expected:
                self.wrong(f"call {hold['billing_ref_id']}: {ends[str(hold['id'])]} journal rows of its end")

    def clients_were_told_the_truth(self, *, settled: bool, all_told: bool) -> None:
        """What clients noted is what the books say."""
        charged: dict[tuple[str, str], int] = {}
        for hold in self.holds:
            if hold["state"] == "captured":
                charged[str(hold["org_id"]), hold["billing_ref_id"]] = hold["captured_nano"]
        seen: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for record in self.records:
            if record["ref"] is not None:
                seen[record["org"], record["ref"]].append(record)
        for key, tries in seen.items():
            told = {int(Decimal(record["cost"]) * 10**9) for record in tries if record["cost"] is not None}
            if told and told != {charged.get(key)}:
                self.wrong(f"{key[1]}: clients were told {sorted(told)}, the books say {charged.get(key)}")
            if key in charged and all(record["outcome"] == "refused" for record in tries):
                self.wrong(f"{key[1]}: every try was refused, and yet it is charged")
        orgs = {record["org"] for record in self.records}
        if all_told:
            answered = {key for key, tries in seen.items() if any(one["cost"] is not None for one in tries)}
            for key in charged:
                if key[0] in orgs and key not in answered:
                    self.wrong(f"{key[1]}: charged {charged[key]}, and no client was told")
        if settled:
            stay = [hold for hold in self.holds if hold["state"] == "held" and str(hold["org_id"]) in orgs]
            self.findings += [f"{hold['billing_ref_id']}: its hold is still open" for hold in stay]


def cost_of(usage: dict[str, Any], price: dict[str, Any]) -> int:
    """Return tokens × price in nano-units, rounded up once."""
    tokens = {name: usage[column] for name, column in COLUMNS.items()} | (usage["other_tokens"] or {})
    asked = sum(count for name, count in tokens.items() if name in INPUT)
    rates = dict(price["rates"])
    for tier in sorted(price["tiers"], key=lambda tier: tier["from_input_tokens"]):
        if asked >= tier["from_input_tokens"]:
            rates = {**price["rates"], **tier["rates"]}
    total = Fraction(price["per_call_nano"])
    for name, count in tokens.items():
        plain = rates.get("input" if name in INPUT else "output", 0)
        total += Fraction(count * rates.get(name, plain), 1000)
    return ceil(total)


def main(arguments: list[str]) -> int:
    """Audit, and say what was found."""
    flags = {argument for argument in arguments if argument.startswith("--")}
    url, *files = [argument for argument in arguments if argument not in flags]
    lines = [line for file in files for line in Path(file).read_text().splitlines()]
    auditor = Auditor(url, [json.loads(line) for line in lines])
    auditor.wallets_are_sums()
    auditor.budgets_are_sums()
    auditor.calls_are_charged_once()
    auditor.costs_are_tokens_times_price()
    auditor.every_end_is_in_the_journal()
    auditor.clients_were_told_the_truth(settled="--settled" in flags, all_told="--all-told" in flags)
    for finding in auditor.findings:
        print(finding)
    states = dict(Counter(hold["state"] for hold in auditor.holds))
    print(f"{len(auditor.records)} tries of clients, calls {states}: {len(auditor.findings)} findings")
    return 1 if auditor.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
