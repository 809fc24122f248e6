"""HTTP bodies of the policy slice."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from deepspace.kit.client_address import network_of
from deepspace.policy.gcra import MAX_PER_MINUTE
from deepspace.policy.guardrails.pii import PII_KINDS, PiiKind
from deepspace.policy.guardrails.port import Action, Side
from deepspace.policy.guardrails.words import LONGEST_WORD, MOST_WORDS
from deepspace.policy.rate_limits import Subject
from deepspace.policy.rules import Effect, Kind, Mode, zone_of

PerMinute = Annotated[int, Field(ge=1, le=MAX_PER_MINUTE)]
ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


def _cidr(text: str) -> str:
    return str(network_of(text))


def _zone(text: str) -> str:
    return zone_of(text).key


Cidr = Annotated[str, Field(max_length=60, examples=["192.0.2.0/24"]), AfterValidator(_cidr)]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["08:00"])]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class LimitBody(BaseModel):
    """What a subject is limited to. It replaces what was set for it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"subject": "api_key", "rpm": 60, "tpm": 100000, "parallel": 4}},
    )

    subject: Subject
    subject_id: UUID | None = Field(None, description="Leave out for each subject of that kind.")
    model: ModelName | None = Field(None, description="For the subject `model`; leave out for each model.")
    rpm: PerMinute | None = Field(None, description="Requests a minute.")
    tpm: PerMinute | None = Field(None, description="Tokens a minute, input and output together.")
    parallel: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="Calls at the same time."
    )


class LimitView(BaseModel):
    """A rate limit. Without subject_id and model it is each subject's of that kind."""

    id: UUID
    organization_id: UUID | None = Field(description="null: set by operators, for every organisation.")
    subject: Subject
    subject_id: UUID | None
    model: str | None
    rpm: int | None
    tpm: int | None
    parallel: int | None
    created_at: datetime


class _RuleBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    effect: Effect = Field(
        description="`allow`: of this kind nothing else passes. `deny`: this does not pass."
    )
    mode: Mode = Field("enforce", description="`dry_run`: only noted in the trace of a call.")
    note: Annotated[str, Field(max_length=500)] = ""


class ModelRuleBody(_RuleBody):
    """A rule on models."""

    kind: Literal["model"]
    models: Annotated[list[ModelName], Field(min_length=1, max_length=500)] = Field(
        description="Names; one that ends in * stands for all that begin so."
    )


class IpRuleBody(_RuleBody):
    """A rule on addresses."""

    kind: Literal["ip"] = "ip"
    cidrs: Annotated[list[Cidr], Field(min_length=1, max_length=1000)]


class TimeRuleBody(_RuleBody):
    """A rule on times. An end at or before the start lies on the following day."""

    kind: Literal["time"]
    weekdays: Annotated[list[Weekday], Field(min_length=1, max_length=7)]
    start: TimeOfDay
    end: TimeOfDay
    time_zone: Annotated[str, Field(max_length=60, examples=["Asia/Shanghai"]), AfterValidator(_zone)]


Word = Annotated[
    str, Field(min_length=1, max_length=LONGEST_WORD, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["project x"])
]
Sides = Annotated[list[Side], Field(min_length=1, max_length=2)]


class GuardrailBody(BaseModel):
    """A guardrail: on personal data, by pattern and checksum, or on words, whatever their case and width."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["guardrail"]
    guard: Literal["pii", "words"]
    detect: Annotated[list[PiiKind], Field(min_length=1, max_length=len(PII_KINDS))] | None = Field(
        None, description="Of `pii`; leave out for all kinds."
    )
    words: Annotated[list[Word], Field(min_length=1, max_length=MOST_WORDS)] | None = Field(
        None, description="Of `words`: words and phrases."
    )
    action: Action = Field(
        description="`block` refuses the call or ends the answer, `mask` replaces what is found, `log` only"
        " notes it in the trace."
    )
    on: Sides = Field(["input", "output"], description="What is looked through.")
    mode: Mode = Field("enforce", description="`dry_run`: whatever the action, only noted in the trace.")
    note: Annotated[str, Field(max_length=500)] = ""

    @property
    def effect(self) -> Effect:
        """A guardrail allows nothing that was not allowed."""
        return "deny"

    @model_validator(mode="after")
    def _fits(self) -> GuardrailBody:
        if (self.guard == "words") != (self.words is not None):
            raise ValueError("the guard 'words' needs 'words', and no other takes them")
        if self.guard != "pii" and self.detect is not None:
            raise ValueError("'detect' is for the guard 'pii'")
        return self


AccessRule = ModelRuleBody | IpRuleBody | TimeRuleBody
AccessRuleBody = Annotated[AccessRule, Field(discriminator="kind")]
RuleBody = Annotated[AccessRule | GuardrailBody, Field(discriminator="kind")]


def condition_in(body: AccessRule | GuardrailBody) -> dict[str, Any]:
    """Return the part of a body that is the rule's condition, as it is stored."""
    return body.model_dump(exclude={"kind", "effect", "mode", "note"}, exclude_none=True)


class ModeBody(BaseModel):
    """Enforce a rule, or only watch it."""

    model_config = ConfigDict(extra="forbid")

    mode: Mode


class RuleView(BaseModel):
    """An access rule. `condition` has the fields of its kind."""

    id: UUID
    organization_id: UUID | None = Field(description="null: set by operators, for every organisation.")
    kind: Kind
    effect: Effect
    mode: Mode
    note: str
    condition: dict[str, Any]
    created_at: datetime


class Share(BaseModel):
    """How many of the refused calls had this value."""

    value: str
    calls: int


class DryRunExample(BaseModel):
    """Calls of one minute that would have been refused, with the trace of one of them."""

    organization_id: UUID
    minute: datetime
    calls: int
    trace_id: str | None
    model: str | None
    client_ip: str | None
    user_id: UUID | None
    api_key_id: UUID | None


class DryRunView(BaseModel):
    """What a rule would have refused of the calls that were let through in the last 24 hours."""

    since: datetime
    calls: int = Field(description="How many calls were looked at.")
    refused: int = Field(description="How many of them the rule would have refused.")
    not_judged: int = Field(description="Calls whose address was not recorded, for a rule on addresses.")
    truncated: bool = Field(description="There were too many calls; the oldest were not looked at.")
    by_model: list[Share]
    by_user: list[Share]
    by_api_key: list[Share]
    by_client_ip: list[Share]
    examples: list[DryRunExample]
