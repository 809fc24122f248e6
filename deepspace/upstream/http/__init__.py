"""The HTTP/1.1 client of the hot path: keep-alive connections on httptools and asyncio protocols.

client.py is what the platform sees, pool.py keeps connections, connection.py speaks HTTP on one of them,
answer.py is what comes back, head.py writes requests, decoding.py undoes a compression nobody asked for.

When a request is sent again: never by this client. A request that went out on a kept connection may have been
taken up, and billed, by a provider whose answer was lost, and a POST must not be repeated by a proxy on its
own (RFC 9110, 9.2.2; RFC 9112, 9.3.1). What can be known beforehand is: a connection that the provider has
closed meanwhile is seen before anything is written to it, and another one is taken. The rest is an
UpstreamUnavailable, and the pipeline's next attempt, which stands in the trace of the call, is its own
decision.
"""
