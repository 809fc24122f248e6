"""Rate limits and access rules of an organisation."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from deepspace.accounts.guard import OrgAccess, Requires
from deepspace.kit.db import Database
from deepspace.kit.ids import uuid7
from deepspace.kit.page import Page
from deepspace.kit.web import client_ip, provided
from deepspace.policy import schemas
from deepspace.policy.dry_run import DryRun
from deepspace.policy.policies import Changer, PolicyBook, PolicyService
from deepspace.policy.rate_limits import LimitBook, LimitRule, RateLimitService
from deepspace.policy.rules import Rule, condition_of
from deepspace.policy.views import dry_run_view, limit_view, rule_view

router = APIRouter(prefix="/api/organizations/{org}", tags=["limits and policies"])

Limits = Annotated[RateLimitService, provided(RateLimitService)]
LimitsInForce = Annotated[LimitBook, provided(LimitBook)]
Policies = Annotated[PolicyService, provided(PolicyService)]
PoliciesInForce = Annotated[PolicyBook, provided(PolicyBook)]
Db = Annotated[Database, provided(Database)]


@router.get("/rate-limits", summary="Rate limits of an organisation")
async def limits(
    access: Annotated[OrgAccess, Requires("limits:read")], service: Limits, db: Db
) -> Page[schemas.LimitView]:
    """List the limits the organisation has set for itself. What operators have set binds it too."""
    async with db.tenant(access.org_id) as tx:
        rows = await service.list(tx, access.org_id)
    return Page(items=[limit_view(row) for row in rows], next_cursor=None)


@router.put("/rate-limits", summary="Set a rate limit")
async def put_limit(
    body: schemas.LimitBody,
    access: Annotated[OrgAccess, Requires("limits:write")],
    service: Limits,
    book: LimitsInForce,
    db: Db,
) -> schemas.LimitView:
    """Limit a key, user, project or model, each of a kind, or the whole organisation. In force within a
    second."""
    async with db.tenant(access.org_id) as tx:
        row = await service.put(
            tx,
            access.org_id,
            actor_id=access.principal.user_id,
            subject=body.subject,
            subject_id=body.subject_id,
            model=body.model,
            limits=LimitRule(body.rpm, body.tpm, body.parallel),
        )
    book.forget(access.org_id)
    return limit_view(row)


@router.delete("/rate-limits/{limit}", status_code=204, summary="Remove a rate limit")
async def remove_limit(
    limit: UUID,
    access: Annotated[OrgAccess, Requires("limits:write")],
    service: Limits,
    book: LimitsInForce,
    db: Db,
) -> None:
    """Remove a limit; calls under way are not touched."""
    async with db.tenant(access.org_id) as tx:
        await service.remove(tx, access.org_id, limit, actor_id=access.principal.user_id)
    book.forget(access.org_id)


@router.get("/policies", summary="Access rules of an organisation")
async def policies(
    access: Annotated[OrgAccess, Requires("policies:read")], service: Policies, db: Db
) -> Page[schemas.RuleView]:
    """List the rules the organisation has set for itself. What operators have set binds it too."""
    async with db.tenant(access.org_id) as tx:
        rows = await service.list(tx, access.org_id)
    return Page(items=[rule_view(row) for row in rows], next_cursor=None)


@router.post("/policies", status_code=201, summary="Make an access rule")
async def add_policy(
    body: schemas.RuleBody,
    request: Request,
    access: Annotated[OrgAccess, Requires("policies:write")],
    service: Policies,
    book: PoliciesInForce,
    db: Db,
) -> schemas.RuleView:
    """Make a rule on models, addresses or times, or switch a guardrail on. In force within a second."""
    async with db.tenant(access.org_id) as tx:
        row = await service.add(
            tx,
            access.org_id,
            kind=body.kind,
            effect=body.effect,
            mode=body.mode,
            note=body.note,
            condition=schemas.condition_in(body),
            by=changer(access, request),
        )
    book.forget(access.org_id)
    return rule_view(row)


@router.post("/policies/dry-run", summary="Try an access rule on the last 24 hours")
async def try_policy(
    body: schemas.AccessRuleBody,
    access: Annotated[OrgAccess, Requires("policies:read")],
    dry_run: Annotated[DryRun, provided(DryRun)],
    book: PoliciesInForce,
    db: Db,
) -> schemas.DryRunView:
    """Tell which of the calls that were let through the rule would have refused. Nothing is changed."""
    enforced = (await book.of(access.org_id)).enforced
    candidate = candidate_of(body, by_platform=False)
    async with db.tenant(access.org_id) as tx:
        return dry_run_view(await dry_run.run(tx, access.org_id, enforced, candidate))


@router.patch("/policies/{policy}", summary="Enforce an access rule, or only watch it")
async def change_policy(
    policy: UUID,
    body: schemas.ModeBody,
    request: Request,
    *,
    access: Annotated[OrgAccess, Requires("policies:write")],
    service: Policies,
    book: PoliciesInForce,
    db: Db,
) -> schemas.RuleView:
    """Change a rule's mode."""
    async with db.tenant(access.org_id) as tx:
        row = await service.set_mode(tx, access.org_id, policy, body.mode, by=changer(access, request))
    book.forget(access.org_id)
    return rule_view(row)


@router.delete("/policies/{policy}", status_code=204, summary="Remove an access rule")
async def remove_policy(
    policy: UUID,
    request: Request,
    access: Annotated[OrgAccess, Requires("policies:write")],
    service: Policies,
    book: PoliciesInForce,
    db: Db,
) -> None:
    """Remove a rule."""
    async with db.tenant(access.org_id) as tx:
        await service.remove(tx, access.org_id, policy, by=changer(access, request))
    book.forget(access.org_id)


def changer(access: OrgAccess, request: Request) -> Changer:
    """Return who changes an organisation's rules: a member, who must not lock themselves out."""
    return Changer(access.principal.user_id, client_ip(request))


def candidate_of(body: schemas.AccessRuleBody, *, by_platform: bool) -> Rule:
    """Return the rule a body describes, to be tried."""
    condition = condition_of(body.kind, schemas.condition_in(body))
    return Rule(uuid7(), by_platform, body.kind, body.effect, "dry_run", body.note, condition)
