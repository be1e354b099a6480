"""The nouns: frozen, keyword-only values that every room shares. Imports nothing of ours.

One file a noun. Times are integers, microseconds since 1970-01-01 UTC, unless a name says
otherwise; durations carry their unit in the name. `handrail.model.wire` turns them into text.
"""
