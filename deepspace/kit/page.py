"""Lists as pages: newest first, an opaque cursor, `{"items": [...], "next_cursor": ...}`."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field

from deepspace.kit.errors import ValidationFailed

Item = TypeVar("Item")
Row = TypeVar("Row")

Limit = Annotated[int, Field(ge=1, le=200, description="How many items at most.")]


class Page(BaseModel, Generic[Item]):
    """One page of a list, newest first."""

    items: list[Item]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null at the end.")


def encode_cursor(at: datetime, row_id: UUID) -> str:
    """Return an opaque cursor that stands just behind the row (at, row_id)."""
    return base64.urlsafe_b64encode(json.dumps([at.isoformat(), str(row_id)]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Return the position a cursor stands for, or raise ValidationFailed."""
    try:
        at, row_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return datetime.fromisoformat(at), UUID(row_id)
    except (ValueError, TypeError, binascii.Error, AttributeError, RecursionError):
        raise ValidationFailed("The cursor is not one that this server gave.", param="cursor") from None


def page_of(
    rows: Sequence[Row],
    limit: int,
    item: Callable[[Row], Item],
    position: Callable[[Row], tuple[datetime, UUID]],
) -> Page[Item]:
    """Make a page from up to `limit + 1` rows; the extra row only tells that more follow."""
    kept = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=[item(row) for row in kept], next_cursor=encode_cursor(*position(kept[-1])) if more else None
    )
