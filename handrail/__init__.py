"""Handrail puts people exactly where they change outcomes, and proves it."""

__version__ = "0.1.0"
