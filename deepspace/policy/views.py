"""Rows and outcomes as people see them."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from deepspace.kit.db import Record
from deepspace.policy import schemas
from deepspace.policy.dry_run import Outcome

TOP = 20


def limit_view(row: Record) -> schemas.LimitView:
    """Return a rate limit."""
    return schemas.LimitView(
        id=row.id,
        organization_id=row.org_id,
        subject=row.subject,
        subject_id=row.subject_id,
        model=row.model,
        rpm=row.rpm,
        tpm=row.tpm,
        parallel=row.parallel,
        created_at=row.created_at,
    )


def rule_view(row: Record) -> schemas.RuleView:
    """Return an access rule."""
    return schemas.RuleView(
        id=row.id,
        organization_id=row.org_id,
        kind=row.kind,
        effect=row.effect,
        mode=row.mode,
        note=row.note,
        condition=row.condition,
        created_at=row.created_at,
    )


def dry_run_view(outcome: Outcome) -> schemas.DryRunView:
    """Return what a dry run found."""
    return schemas.DryRunView(
        since=outcome.since,
        calls=outcome.calls,
        refused=outcome.refused,
        not_judged=outcome.not_judged,
        truncated=outcome.truncated,
        by_model=_top(outcome.by_model),
        by_user=_top(outcome.by_user),
        by_api_key=_top(outcome.by_api_key),
        by_client_ip=_top(outcome.by_client_ip),
        examples=[
            schemas.DryRunExample(
                organization_id=group.org_id,
                minute=group.minute,
                calls=group.calls,
                trace_id=group.trace_id,
                model=group.model,
                client_ip=group.client_ip,
                user_id=UUID(group.user_id) if group.user_id else None,
                api_key_id=UUID(group.api_key_id) if group.api_key_id else None,
            )
            for group in outcome.examples
        ],
    )


def _top(counter: Counter[str]) -> list[schemas.Share]:
    return [schemas.Share(value=value, calls=calls) for value, calls in counter.most_common(TOP)]
