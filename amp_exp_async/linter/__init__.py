"""Lint: likely mistakes and leftovers in a manifest."""

from .context import Finding
from .rules import LINT_RULES, find_emails, lint

__all__ = ["LINT_RULES", "Finding", "find_emails", "lint"]
