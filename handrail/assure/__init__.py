"""Does it work? Pure numerics: rates with their definitions and intervals."""
