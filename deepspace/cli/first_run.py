"""The first start: an operator, an organisation, a project, a wallet with a starting balance, an API key."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from deepspace.accounts.key_service import KeyWish
from deepspace.billing.moves import Authority
from deepspace.kit.money import micro_per_million, nano
from deepspace.upstream import local_embeddings, local_model
from deepspace.upstream.service import ServedModel
from deepspace.wiring import Platform

ADMIN_EMAIL = "admin@deepspace.local"
STARTING_BALANCE = "10"
LOCAL_PRICE = {"input": "0.05", "output": "0.2"}
"""A demonstration price: the model costs nothing but this machine's electricity, but the books shall move."""

EMBEDDINGS_PRICE = {"input": "0.02"}

FILE = "first-run.json"


async def seed(platform: Platform, data_dir: Path, url: str) -> dict[str, str] | None:
    """Create what the first start creates and write first-run.json; None if it was done before.

    The file is written before the transaction commits: a crash between the two leaves a file that the next
    start replaces, never an operator whose password nobody knows.
    """
    async with platform.database.platform() as tx:
        if await platform.accounts.has_operator(tx):
            return None
        password = secrets.token_urlsafe(15)
        user_id = await platform.accounts.create_user(
            tx, email=ADMIN_EMAIL, name="Operator", password=password, is_operator=True
        )
        lab = await platform.founding.found(tx, "My lab", user_id)
        await platform.moves.topup(
            tx,
            lab.org_id,
            nano(STARTING_BALANCE),
            Authority(user_id, "starting balance", f"first-run:{lab.org_id}"),
        )
        wish = KeyWish(name="first key", project_id=lab.project_id)
        key = await platform.keys.issue(tx, lab.org_id, wish, created_by=user_id)
        found = {
            "url": url,
            "admin_email": ADMIN_EMAIL,
            "admin_password": password,
            "api_key": key.secret,
            "organization_id": str(lab.org_id),
            "project_id": str(lab.project_id),
        }
        _write_private(data_dir / FILE, json.dumps(found, indent=1) + "\n")
    return found


async def register_local_model(platform: Platform, port: int) -> None:
    """Point the channel `local` at the model's port, and give the model its price if it has none."""
    model = ServedModel(
        local_model.MODEL, local_model.MODEL, local_model.CONTEXT_LENGTH, local_model.MAX_OUTPUT_TOKENS
    )
    await _register(platform, "local", port, model, LOCAL_PRICE)


async def register_local_embeddings(platform: Platform, port: int) -> None:
    """Do the same for the channel `local-embeddings`."""
    name = local_embeddings.MODEL
    model = ServedModel(name, name, local_embeddings.CONTEXT_LENGTH, purpose="embeddings")
    await _register(platform, "local-embeddings", port, model, EMBEDDINGS_PRICE)


async def _register(
    platform: Platform, channel: str, port: int, model: ServedModel, price: Mapping[str, str]
) -> None:
    async with platform.database.platform() as tx:
        await platform.channels.ensure_local(
            tx, name=channel, base_url=f"http://127.0.0.1:{port}/v1", model=model
        )
        if not await platform.billing.prices(tx, model.model, 1):
            await platform.billing.publish_price(
                tx,
                model=model.model,
                rates={name: micro_per_million(rate) for name, rate in price.items()},
                per_call_nano=0,
                tiers=(),
                effective_at=None,
                actor=None,
            )


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
