"""The HTTP API: thin, asynchronous at the edge, everything else in `flow`."""
