"""API keys of an organisation."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from deepspace.accounts import key_schemas as schemas
from deepspace.accounts.authenticator import Authenticator
from deepspace.accounts.guard import OrgAccess, Requires
from deepspace.accounts.key_repository import KeyRepository
from deepspace.accounts.key_service import IssuedKey, KeyService, KeyWish
from deepspace.kit.db import Database, Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.page import Limit, Page, decode_cursor, page_of
from deepspace.kit.web import provided

router = APIRouter(prefix="/api/organizations/{org}/api-keys", tags=["api keys"])

Keys = Annotated[KeyService, provided(KeyService)]
Auth = Annotated[Authenticator, provided(Authenticator)]
Db = Annotated[Database, provided(Database)]


def _view(row: Record) -> schemas.KeyView:
    return schemas.KeyView(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        hint=row.hint,
        routes=row.scopes.get("routes"),
        models=row.scopes.get("models"),
        project_ids=[UUID(text) for text in row.scopes.get("projects", ())],
        allowed_ips=row.allowed_ips,
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        previous_expires_at=row.previous_expires_at,
    )


async def _read(tx: Transaction, org_id: UUID, key: UUID) -> schemas.KeyView:
    row = await KeyRepository(tx, org_id).key(key)
    if row is None:
        raise NotFound
    return _view(row)


async def _issued(tx: Transaction, org_id: UUID, issued: IssuedKey) -> schemas.NewKeyView:
    view = await _read(tx, org_id, issued.id)
    return schemas.NewKeyView(**view.model_dump(), secret=issued.secret)


@router.get("", summary="API keys of an organisation")
async def api_keys(
    access: Annotated[OrgAccess, Requires("api_keys:read")],
    db: Db,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
) -> Page[schemas.KeyView]:
    """List API keys, newest first, without their secrets."""
    before = decode_cursor(cursor) if cursor is not None else None
    async with db.tenant(access.org_id) as tx:
        rows = await KeyRepository(tx, access.org_id).keys(limit + 1, before)
    return page_of(rows, limit, _view, lambda row: (row.created_at, row.id))


@router.post("", status_code=201, summary="Make an API key")
async def create_api_key(
    body: schemas.NewKeyBody,
    access: Annotated[OrgAccess, Requires("api_keys:write")],
    service: Keys,
    db: Db,
) -> schemas.NewKeyView:
    """Make an API key for a project. `secret` is in this answer and nowhere else."""
    wish = KeyWish(**dict(body))
    async with db.tenant(access.org_id) as tx:
        issued = await service.make(tx, access.org_id, access.principal, wish)
        return await _issued(tx, access.org_id, issued)


@router.get("/{key}", summary="An API key")
async def api_key(
    key: UUID, access: Annotated[OrgAccess, Requires("api_keys:read")], db: Db
) -> schemas.KeyView:
    """Return one API key without its secret."""
    async with db.tenant(access.org_id) as tx:
        return await _read(tx, access.org_id, key)


@router.put("/{key}", summary="Change an API key")
async def change_api_key(
    key: UUID,
    body: schemas.KeyChangeBody,
    access: Annotated[OrgAccess, Requires("api_keys:write")],
    service: Keys,
    db: Db,
) -> schemas.KeyView:
    """Change name, narrowing or end of a key; its text and its project stay."""
    async with db.tenant(access.org_id) as tx:
        present = await _read(tx, access.org_id, key)
        wish = KeyWish(project_id=present.project_id, **dict(body))
        await service.change(tx, access.org_id, access.principal, key, wish)
        return await _read(tx, access.org_id, key)


@router.post("/{key}/rotate", summary="Rotate an API key")
async def rotate_api_key(
    key: UUID,
    body: schemas.RotateBody,
    access: Annotated[OrgAccess, Requires("api_keys:write")],
    service: Keys,
    db: Db,
) -> schemas.NewKeyView:
    """Give a key a new secret; the present one works for `overlap_s` more. Id, budgets and limits stay."""
    async with db.tenant(access.org_id) as tx:
        overlap = timedelta(seconds=body.overlap_s)
        issued = await service.rotate(tx, access.org_id, access.principal, key, overlap=overlap)
        return await _issued(tx, access.org_id, issued)


@router.delete("/{key}", status_code=204, summary="Revoke an API key")
async def revoke_api_key(
    key: UUID,
    access: Annotated[OrgAccess, Requires("api_keys:write")],
    service: Keys,
    db: Db,
    authenticator: Auth,
) -> None:
    """Revoke an API key: refused at once here, within a second on every other gateway process."""
    async with db.tenant(access.org_id) as tx:
        await service.revoke(tx, access.org_id, access.principal, key)
    authenticator.forget_api_key(key)
