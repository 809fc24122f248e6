"""Who I am; organisations and projects."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from deepspace.accounts import schemas
from deepspace.accounts.guard import SignedIn
from deepspace.accounts.principal import Principal
from deepspace.accounts.queries import AccountsQueries
from deepspace.accounts.service import AccountsService
from deepspace.kit.db import Database
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["accounts"])

Accounts = Annotated[AccountsService, provided(AccountsService)]
Queries = Annotated[AccountsQueries, provided(AccountsQueries)]
Db = Annotated[Database, provided(Database)]


@router.get("/me", summary="Who am I")
async def me(principal: Annotated[Principal, SignedIn], queries: Queries, db: Db) -> schemas.MeView:
    """Return the caller and the organisations they belong to."""
    async with db.platform() as tx:
        return await queries.me(tx, principal)
