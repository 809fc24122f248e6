"""Fakes that ship with the package: a provider that can misbehave, a clock that stands still."""
