"""Upstream: channels to model providers, the model catalogue, the HTTP client, the built-in local model.

A channel is a place that answers in the OpenAI dialect, with a credential, models, a priority and time-outs.
The port of the pipeline is `client.UpstreamClient`; nothing else in the platform opens a connection to a
model.
"""
