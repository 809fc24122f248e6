"""Rate limits and access rules, for operators: their own, which bind everybody, and any organisation's."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from deepspace.accounts.guard import RequiresOperator
from deepspace.accounts.principal import Principal
from deepspace.kit.page import Page
from deepspace.kit.web import client_ip, provided
from deepspace.policy import schemas
from deepspace.policy.dry_run import DryRun
from deepspace.policy.endpoints import Db, Limits, LimitsInForce, Policies, PoliciesInForce, candidate_of
from deepspace.policy.policies import Changer
from deepspace.policy.rate_limits import LimitRule
from deepspace.policy.views import dry_run_view, limit_view, rule_view

router = APIRouter(prefix="/api/admin", tags=["admin: limits and policies"])

OnLimits = Annotated[Principal, RequiresOperator("operator:limits")]
OnPolicies = Annotated[Principal, RequiresOperator("operator:policies")]
Whose = Annotated[
    UUID | None, Query(description="An organisation's own; leave out for those that bind everybody.")
]


@router.get("/rate-limits", summary="Rate limits")
async def limits(
    _: OnLimits, service: Limits, db: Db, organization_id: Whose = None
) -> Page[schemas.LimitView]:
    """List the operators' limits, or those an organisation has set for itself."""
    async with db.platform() as tx:
        rows = await service.list(tx, organization_id)
    return Page(items=[limit_view(row) for row in rows], next_cursor=None)


@router.put("/rate-limits", summary="Set a rate limit")
async def put_limit(
    body: schemas.LimitBody,
    operator: OnLimits,
    service: Limits,
    book: LimitsInForce,
    db: Db,
    organization_id: Whose = None,
) -> schemas.LimitView:
    """Set a limit that binds everybody, or one of an organisation's own."""
    async with db.platform() as tx:
        row = await service.put(
            tx,
            organization_id,
            actor_id=operator.user_id,
            subject=body.subject,
            subject_id=body.subject_id,
            model=body.model,
            limits=LimitRule(body.rpm, body.tpm, body.parallel),
        )
    book.forget(organization_id)
    return limit_view(row)


@router.delete("/rate-limits/{limit}", status_code=204, summary="Remove a rate limit")
async def remove_limit(
    limit: UUID,
    operator: OnLimits,
    service: Limits,
    book: LimitsInForce,
    db: Db,
    organization_id: Whose = None,
) -> None:
    """Remove one of the operators' limits, or of an organisation's own."""
    async with db.platform() as tx:
        await service.remove(tx, organization_id, limit, actor_id=operator.user_id)
    book.forget(organization_id)


@router.get("/policies", summary="Access rules")
async def policies(
    _: OnPolicies, service: Policies, db: Db, organization_id: Whose = None
) -> Page[schemas.RuleView]:
    """List the operators' rules, or those an organisation has set for itself."""
    async with db.platform() as tx:
        rows = await service.list(tx, organization_id)
    return Page(items=[rule_view(row) for row in rows], next_cursor=None)


@router.post("/policies", status_code=201, summary="Make an access rule")
async def add_policy(
    body: schemas.RuleBody,
    request: Request,
    operator: OnPolicies,
    service: Policies,
    book: PoliciesInForce,
    db: Db,
) -> schemas.RuleView:
    """Make a rule that binds everybody. One on addresses also guards the management API, except from the
    loopback."""
    async with db.platform() as tx:
        row = await service.add(
            tx,
            None,
            kind=body.kind,
            effect=body.effect,
            mode=body.mode,
            note=body.note,
            condition=schemas.condition_in(body),
            by=Changer(operator.user_id, client_ip(request)),
        )
    book.forget(None)
    return rule_view(row)


@router.post("/policies/dry-run", summary="Try an access rule on the last 24 hours")
async def try_policy(
    body: schemas.AccessRuleBody,
    _: OnPolicies,
    dry_run: Annotated[DryRun, provided(DryRun)],
    book: PoliciesInForce,
    db: Db,
) -> schemas.DryRunView:
    """Tell which of every organisation's calls the rule would have refused. Nothing is changed."""
    enforced = (await book.of(None)).enforced
    candidate = candidate_of(body, by_platform=True)
    async with db.platform() as tx:
        return dry_run_view(await dry_run.run(tx, None, enforced, candidate))


@router.patch("/policies/{policy}", summary="Enforce an access rule, or only watch it")
async def change_policy(
    policy: UUID,
    body: schemas.ModeBody,
    request: Request,
    *,
    operator: OnPolicies,
    service: Policies,
    book: PoliciesInForce,
    db: Db,
    organization_id: Whose = None,
) -> schemas.RuleView:
    """Change a rule's mode."""
    by = Changer(operator.user_id, client_ip(request) if organization_id is None else None)
    async with db.platform() as tx:
        row = await service.set_mode(tx, organization_id, policy, body.mode, by=by)
    book.forget(organization_id)
    return rule_view(row)


@router.delete("/policies/{policy}", status_code=204, summary="Remove an access rule")
async def remove_policy(
    policy: UUID,
    request: Request,
    *,
    operator: OnPolicies,
    service: Policies,
    book: PoliciesInForce,
    db: Db,
    organization_id: Whose = None,
) -> None:
    """Remove one of the operators' rules, or of an organisation's own: one that locks its members out."""
    by = Changer(operator.user_id, client_ip(request) if organization_id is None else None)
    async with db.platform() as tx:
        await service.remove(tx, organization_id, policy, by=by)
    book.forget(organization_id)


@router.get("/ip-rules", summary="Address rules")
async def ip_rules(_: OnPolicies, service: Policies, db: Db) -> Page[schemas.RuleView]:
    """List the operators' rules on addresses."""
    async with db.platform() as tx:
        rows = await service.list(tx, None, "ip")
    return Page(items=[rule_view(row) for row in rows], next_cursor=None)


@router.post("/ip-rules", status_code=201, summary="Make an address rule")
async def add_ip_rule(
    body: schemas.IpRuleBody,
    request: Request,
    operator: OnPolicies,
    service: Policies,
    book: PoliciesInForce,
    db: Db,
) -> schemas.RuleView:
    """Make a rule on addresses that binds everybody: as a policy of the kind `ip`."""
    return await add_policy(body, request, operator, service, book, db)


@router.delete("/ip-rules/{policy}", status_code=204, summary="Remove an address rule")
async def remove_ip_rule(
    policy: UUID, request: Request, operator: OnPolicies, service: Policies, book: PoliciesInForce, db: Db
) -> None:
    """Remove one of the operators' rules on addresses."""
    async with db.platform() as tx:
        by = Changer(operator.user_id, client_ip(request))
        await service.remove(tx, None, policy, by=by, kind="ip")
    book.forget(None)
