"""What a provider says was used, for channels whose provider has a usage report.

The report is OpenAI's "completions usage" (GET /v1/organization/usage/completions,
platform.openai.com/docs/api-reference/usage), which OpenAI-compatible platforms offer too. It wants a
credential of its own, one that may read reports: the channel's `usage_key`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec

from deepspace.kit.crypto import Sealer
from deepspace.kit.db import Database
from deepspace.kit.errors import NotFound
from deepspace.upstream.credentials import place_of, proxy_of
from deepspace.upstream.errors import ReportUnavailable
from deepspace.upstream.fetch import fetch
from deepspace.upstream.repository import ChannelRepository

MAX_PAGES = 200
_PATH = "/organization/usage/completions"


@dataclass(frozen=True, slots=True)
class ReportedUsage:
    """What a provider counted for one of its models. `input_tokens` includes what it read from its cache."""

    model: str
    requests: int
    input_tokens: int
    output_tokens: int


def read_page(body: bytes) -> tuple[list[ReportedUsage], str | None]:
    """Return the lines of one page of a report, and the next page's name; ReportUnavailable if it is none."""
    try:
        page: Any = msgspec.json.decode(body)
        lines = [
            ReportedUsage(
                str(found.get("model") or ""),
                int(found.get("num_model_requests") or 0),
                int(found["input_tokens"]),
                int(found["output_tokens"]),
            )
            for bucket in page["data"]
            for found in bucket["results"]
        ]
        following = page.get("next_page") if page.get("has_more") else None
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ReportUnavailable("The provider's answer is not a usage report.") from error
    if any(min(line.requests, line.input_tokens, line.output_tokens) < 0 for line in lines):
        raise ReportUnavailable("The provider's usage report has negative counts.")
    return lines, cast("str | None", following)


class UsageReports:
    """Fetches reports with the channels' report credentials."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        """`sealer` opens the credentials."""
        self._database = database
        self._sealer = sealer

    async def channels(self) -> Sequence[UUID]:
        """Return the channels that can tell what was used."""
        async with self._database.platform() as tx:
            rows = await ChannelRepository(tx).channels()
        return [row.id for row in rows if row.sealed_usage_key is not None]

    async def report(self, channel_id: UUID, start: datetime, end: datetime) -> Sequence[ReportedUsage]:
        """Return what the provider counted from `start` to before `end`, by its models.

        NotFound for a channel that does not exist, ReportUnavailable if it cannot tell.
        """
        async with self._database.platform() as tx:
            row = await ChannelRepository(tx).channel(channel_id)
        if row is None:
            raise NotFound("There is no such channel.")
        if row.sealed_usage_key is None:
            raise ReportUnavailable("The channel has no usage_key to read reports with.")
        key = self._sealer.open(row.sealed_usage_key, place_of("sealed_usage_key", channel_id))
        asked = {
            "start_time": str(int(start.timestamp())),
            "end_time": str(int(end.timestamp())),
            "bucket_width": "1h",
            "group_by": "model",
            "limit": "168",
        }
        return await self._pages(f"{row.base_url}{_PATH}", key, asked, proxy_of(row, self._sealer))

    async def _pages(
        self, url: str, key: str, asked: Mapping[str, str], proxy: str | None
    ) -> list[ReportedUsage]:
        lines: list[ReportedUsage] = []
        page: str | None = None
        headers = {"authorization": f"Bearer {key}", "accept": "application/json"}
        for _ in range(MAX_PAGES):
            query = {**asked, "page": page} if page is not None else asked
            found, page = read_page(await fetch("usage report", url, headers, query, proxy=proxy))
            lines += found
            if page is None:
                return lines
        raise ReportUnavailable(f"The provider's usage report has more than {MAX_PAGES} pages.")
