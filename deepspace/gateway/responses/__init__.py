"""The Responses API of OpenAI's clients, `POST /v1/responses`: parse → pipeline → encode.

Source: platform.openai.com/docs/api-reference/responses and the types of the `openai` package. Nothing is
kept: each call brings its whole conversation, and whatever would need a memory here is refused.
"""
