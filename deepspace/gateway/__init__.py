"""The HTTP process: the AI surface (/v1) as a raw ASGI application in front of the management API and the
apps."""
