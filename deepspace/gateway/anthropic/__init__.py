"""The Anthropic dialect of clients, `/v1/messages`: parse → pipeline → encode."""
