"""Billing: wallets, holds, the double-entry ledger, prices, usage records.

Invariants, checked by tests and by `deepspace doctor`: amounts are integers; a hold is at least the cost it
can come to; every hold ends exactly once, as captured, released or expired; the wallet's balance is the sum
of its transactions; its frozen amount is the sum of its open holds; usage, capture and audit commit
together.
"""
