"""All SQL: one file a noun, named queries, forward migrations."""
