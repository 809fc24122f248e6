"""Channels that answer in the Anthropic dialect: requests out of the inner language, answers into it.

Source: the Messages API, platform.claude.com/docs/en/api/messages, version 2023-06-01. Pure functions; a call
whose client speaks the same dialect passes through native.py instead and keeps its bytes.

What the other dialect has no word for is left out (`cache_control`, `top_k`, `seed`, `logprobs`, …) if the
answer means the same without it, and refused (Untranslatable) if it does not (audio, several choices).
"""
