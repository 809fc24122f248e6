"""`deepspace doctor`: is the installation sound, and do the books balance?"""

from __future__ import annotations

from dataclasses import dataclass

from deepspace.billing.invariants import CHECKS
from deepspace.billing.reconciliation import wrong_costs
from deepspace.kit.errors import PlatformError
from deepspace.pipeline.plugins import PluginRefused, load_plugins
from deepspace.settings import Settings
from deepspace.upstream import local_model
from deepspace.wiring import wire

RECOMPUTED = 100_000


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    name: str
    ok: bool
    text: str


async def examine(settings: Settings) -> list[Finding]:
    """Run every check and return what was found."""
    findings = [
        Finding(
            "local model",
            True,
            "installed" if local_model.is_installed() else "not installed (optional)",
        )
    ]
    findings += _plugins()
    platform = wire(settings)
    try:
        await platform.database.ping()
        findings.append(Finding("database", True, "answers"))
        async with platform.database.platform() as tx:
            for check in CHECKS:
                broken = await check.count(tx)
                findings.append(
                    Finding(check.name, broken == 0, check.text if not broken else f"{broken} broken")
                )
            wrong = await wrong_costs(tx, RECOMPUTED)
            text = f"the newest {RECOMPUTED} usage records cost what their tokens come to"
            findings.append(Finding("cost", not wrong, text if not wrong else f"{len(wrong)} do not"))
    except (PlatformError, OSError) as error:
        findings.append(Finding("database", False, str(error)))
    finally:
        await platform.close()
    return findings


def _plugins() -> list[Finding]:
    try:
        return [
            Finding(f"plug-in {plugin.name}", True, f"{plugin.package}, {plugin.place}")
            for plugin in load_plugins()
        ]
    except PluginRefused as error:
        return [Finding("plug-ins", False, str(error))]
