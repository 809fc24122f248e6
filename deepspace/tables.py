"""Every slice's tables in one registry, for migrations."""

from __future__ import annotations

import deepspace.accounts.identity_models
import deepspace.accounts.models
import deepspace.accounts.org_models
import deepspace.audit.models
import deepspace.billing.models
import deepspace.policy.models
import deepspace.upstream.models
from deepspace.kit.db import Table

SLICES = (
    deepspace.accounts.identity_models,
    deepspace.accounts.models,
    deepspace.accounts.org_models,
    deepspace.audit.models,
    deepspace.billing.models,
    deepspace.policy.models,
    deepspace.upstream.models,
)

metadata = Table.metadata
