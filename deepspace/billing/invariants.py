"""What must always be true of the books, as SQL that counts the exceptions."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from deepspace.kit.db import Transaction


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant: its name, what it says, and a query that counts what breaks it."""

    name: str
    text: str
    sql: str

    async def count(self, tx: Transaction) -> int:
        """Return how many rows break the invariant."""
        return (await tx.execute(text(self.sql))).scalar_one()


CHECKS = (
    Check(
        "I1",
        "every wallet's balance is the sum of its transactions",
        """
        SELECT count(*) FROM wallets w WHERE balance_nano <>
          coalesce((SELECT sum(amount_nano) FROM transactions WHERE credit_account = w.id), 0)
          - coalesce((SELECT sum(amount_nano) FROM transactions WHERE debit_account = w.id), 0)
        """,
    ),
    Check(
        "I2",
        "every wallet's frozen amount is the sum of its open holds",
        """
        SELECT count(*) FROM wallets w WHERE frozen_nano <>
          coalesce((SELECT sum(amount_nano) FROM holds WHERE wallet_id = w.id AND state = 'held'), 0)
        """,
    ),
    Check(
        "I3",
        "no wallet is below its limit",
        "SELECT count(*) FROM wallets WHERE balance_nano - frozen_nano + credit_limit_nano < 0",
    ),
    Check(
        "I4",
        "a captured hold has exactly one capture of the same amount, any other hold has none",
        """
        SELECT count(*) FROM holds h LEFT JOIN
          (SELECT hold_id, count(*) AS n, sum(amount_nano) AS total FROM transactions
           WHERE type = 'capture' GROUP BY hold_id) t ON t.hold_id = h.id
        WHERE coalesce(t.total, 0) <> h.captured_nano
           OR coalesce(t.n, 0) <> CASE WHEN h.state = 'captured' AND h.captured_nano > 0 THEN 1 ELSE 0 END
        """,
    ),
    Check(
        "I5",
        "no hold is refunded beyond what was captured",
        "SELECT count(*) FROM holds WHERE refunded_nano > captured_nano",
    ),
    Check(
        "I6",
        "a captured hold has exactly one usage record, whose cost was captured or absorbed",
        """
        SELECT count(*) FROM holds h LEFT JOIN usage_records u ON u.hold_id = h.id
        WHERE (h.state = 'captured') <> (u.hold_id IS NOT NULL)
           OR (u.hold_id IS NOT NULL AND u.cost_nano <> h.captured_nano + coalesce(
               (SELECT sum(amount_nano) FROM transactions WHERE hold_id = h.id AND type = 'absorb'), 0))
        """,
    ),
    Check(
        "I8",
        "no hold is long overdue",
        "SELECT count(*) FROM holds WHERE state = 'held' AND expires_at < now() - interval '60 seconds'",
    ),
)
"""I7 (the audit chain) joins with the audit slice's seals; I9 (all accounts sum to zero) is true by
construction: every transaction is one row with a debit and a credit account."""
