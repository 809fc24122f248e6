"""People in organisations: accounts made in one go, memberships by invitation."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx2

from deepspace.cli import administration
from deepspace.wiring import Platform
from tests.support.live import PASSWORD, Live, Tenant, in_process


@dataclass
class Person:
    """Somebody with an account and a session."""

    id: str
    email: str
    token: str


async def _accounts(platform: Platform, emails: list[str], *, operator: bool) -> dict[str, str]:
    made: dict[str, str] = {}
    for email in emails:
        user = await administration.create_user(
            platform, email, email.split("@")[0], PASSWORD, None, operator=operator
        )
        made[email] = user["user_id"]
    return made


def people(live: Live, *names: str, operator: bool = False) -> list[Person]:
    """Make accounts without any organisation."""
    emails = [f"{name}-{uuid.uuid4().hex[:10]}@example.org" for name in names]
    made = in_process(live, _accounts, emails, operator=operator)
    return [Person(made[email], email, live.login(email, PASSWORD)) for email in emails]


@dataclass
class Lab:
    """An organisation, and short ways to ask about it."""

    live: Live
    tenant: Tenant

    @property
    def owner(self) -> str:
        """The first owner's token."""
        return self.tenant.token

    def call(self, token: str, method: str, path: str = "", **options: Any) -> httpx2.Response:
        """Make a request below /api/organizations/{org}."""
        base = f"/api/organizations/{self.tenant.organization_id}"
        return self.live.call(base + path, token, method, **options)

    def invite(self, token: str | None = None, **body: Any) -> dict[str, Any]:
        """Make an invitation, as the owner unless told."""
        response = self.call(token or self.owner, "POST", "/invitations", json=body)
        assert response.status_code == 201, response.text
        return response.json()

    def join(self, person: Person, **body: Any) -> Person:
        """Make somebody a member by an invitation of the owner's."""
        made = self.invite(**body)
        response = self.live.call(f"/api/invitations/{made['token']}/accept", person.token, "POST")
        assert response.status_code == 200, response.text
        return person

    def staff(self, *roles: str) -> list[Person]:
        """Make people and give each a built-in role."""
        return [
            self.join(person, role=role)
            for person, role in zip(people(self.live, *roles), roles, strict=True)
        ]

    def role(self, name: str, *permissions: str) -> str:
        """Make a role of the organisation's own and return its id."""
        body = {"name": name, "permissions": list(permissions)}
        response = self.call(self.owner, "POST", "/roles", json=body)
        assert response.status_code == 201, response.text
        return response.json()["id"]

    def project(self, name: str = "Project", access: str = "organization") -> str:
        """Make a project and return its id."""
        response = self.call(self.owner, "POST", "/projects", json={"name": name, "access": access})
        assert response.status_code == 201, response.text
        return response.json()["id"]

    def team(self, name: str = "Team") -> str:
        """Make a team and return its id."""
        response = self.call(self.owner, "POST", "/teams", json={"name": name})
        assert response.status_code == 201, response.text
        return response.json()["id"]

    def user_id(self) -> str:
        """Return the first owner's id."""
        return self.live.call("/api/me", self.owner).json()["id"]


def contents(lab: Lab) -> dict[str, str]:
    """Put one of everything into an organisation and return its id by the name it has in paths."""
    [member] = lab.staff("member")
    team, project = lab.team("Contents"), lab.project("Contents")
    lab.call(lab.owner, "POST", f"/teams/{team}/members", json={"user_id": member.id})
    part = {"user_id": member.id, "role": "viewer"}
    ways: dict[str, tuple[str, str, dict[str, Any]]] = {
        "member": ("POST", f"/projects/{project}/members", part),
        "key": ("POST", "/api-keys", {"name": "inside", "project_id": project}),
        "budget": ("POST", "/budgets", {"scope": "organization", "period": "month", "limit": "5"}),
        "limit": ("PUT", "/rate-limits", {"subject": "project", "subject_id": project, "rpm": 1000}),
        "policy": ("POST", "/policies", {"kind": "model", "effect": "deny", "models": ["no-such-model"]}),
    }
    found = {
        "user": member.id,
        "team": team,
        "project": project,
        "role": lab.role("Contents", "billing:read"),
    }
    for name, (method, path, body) in ways.items():
        response = lab.call(lab.owner, method, path, json=body)
        assert response.status_code in {200, 201}, response.text
        found[name] = str(response.json()["id"])
    return {**found, "invitation": lab.invite(role="guest")["id"]}


def verdict(response: httpx2.Response) -> tuple[int, str]:
    """Return the status and the code of a refusal."""
    return response.status_code, response.json()["code"]
