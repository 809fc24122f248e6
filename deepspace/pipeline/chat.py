"""THE REQUEST PATH of a chat call, in order. Read top to bottom; each step is one file in steps/.

    auth           who is calling, and in which project
    rate_limit     refuse what comes too fast
    policy         which models the caller may use, from where and when, and which channels can answer
    context_rag    (joins with knowledge bases)   retrieve and add context
    tool_skill     (joins with tools and skills)  offer tools
    workflow       (joins with workflows)         hand over to a workflow
    guardrails     mask or refuse what the organisation does not let out (placed as a plug-in is)
    budget_hold    set aside the most the call can cost; refuse if it is not there
    upstream_call  speak to the model; frames flow to the client
    usage_capture  what was used, what it costs
    audit          what will be remembered
    then `settle`: money, usage and audit in one commit, then the permits of rate_limit are released, and only
    then is the client told that the answer is complete

A step whose slice does not exist yet is not in the list; registry.ORDER keeps its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from deepspace.accounts.authenticator import Authenticator
from deepspace.billing.budgets import BudgetBook
from deepspace.billing.ledger import Ledger
from deepspace.billing.service import PriceBook
from deepspace.billing.turning import Turner
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.registry import PluginStep
from deepspace.pipeline.runner import Pipeline
from deepspace.pipeline.settle import Settle
from deepspace.pipeline.steps.audit import AuditStep
from deepspace.pipeline.steps.auth import Auth
from deepspace.pipeline.steps.budget_hold import BudgetHold
from deepspace.pipeline.steps.guardrails import guardrails
from deepspace.pipeline.steps.policy import Policy
from deepspace.pipeline.steps.rate_limit import RateLimit
from deepspace.pipeline.steps.upstream_call import UpstreamCall
from deepspace.pipeline.steps.usage_capture import UsageCapture
from deepspace.policy.admission import Admission
from deepspace.policy.policies import PolicyBook
from deepspace.upstream.catalogue import Catalogue
from deepspace.upstream.client import UpstreamClient
from deepspace.upstream.routing import Router


def chat_pipeline(
    authenticator: Authenticator,
    catalogue: Catalogue,
    prices: PriceBook,
    budgets: BudgetBook,
    *,
    ledger: Ledger,
    turner: Turner,
    client: UpstreamClient,
    router: Router,
    admission: Admission,
    policies: PolicyBook,
    hold_ttl_s: float,
    drain_timeout: timedelta = timedelta(seconds=60),
    plugins: Sequence[PluginStep] = (),
) -> Pipeline:
    """Return the request path of chat calls."""
    rate_limit = RateLimit(admission)

    def abandon(x: Exchange) -> None:
        if x.hold_id is not None:
            ledger.abandon(x.hold_id)

    return Pipeline(
        before=[
            Auth(authenticator),
            rate_limit,
            Policy(catalogue, policies),
            BudgetHold(prices, budgets, ledger, hold_ttl_s),
        ],
        call=UpstreamCall(client, router, ledger, turner, drain_timeout),
        after=[
            UsageCapture(),
            AuditStep(),
        ],
        settle=Settle(ledger),
        abandon=abandon,
        release=rate_limit.release,
        plugins=[guardrails(), *plugins],
    )
