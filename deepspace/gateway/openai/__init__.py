"""The OpenAI dialect: parse → pipeline → encode."""
