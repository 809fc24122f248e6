"""The request path. Begin with chat.py: it is the list of steps, in order."""
