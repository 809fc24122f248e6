"""The one durable commit at the end of a call."""

from __future__ import annotations

from msgspec.structs import replace

from deepspace.billing.ledger import Capture, Ledger, Release
from deepspace.kit.log import get_logger
from deepspace.pipeline.answers import answer_to_keep
from deepspace.pipeline.exchange import Exchange

log = get_logger(__name__)


class Settle:
    """Commits money, usage, audit and the answer to be kept, together.

    While the database is away the ledger keeps settlements on its spool, as durable; so this does not wait
    long.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Settle on this ledger."""
        self._ledger = ledger

    async def __call__(self, x: Exchange) -> None:
        """Commit the settlement of `x`; a call that never had a hold only leaves its journal."""
        settlement = x.settlement
        if isinstance(settlement, Capture):
            complete = replace(settlement, journal=x.journal, answer=answer_to_keep(x))
            captured = await self._ledger.capture(complete)
            if captured.absorbed_nano:
                log.error("cost above the hold was absorbed", absorbed_nano=captured.absorbed_nano)
        elif isinstance(settlement, Release):
            await self._ledger.release(replace(settlement, journal=x.journal))
        elif x.journal:
            await self._ledger.note(x.journal)
