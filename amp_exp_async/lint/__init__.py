"""What is likely a mistake in a state, or is there for nothing."""

from .emails import find_emails
from .finding import Finding
from .rules import LINT_RULES, lint

__all__ = ["LINT_RULES", "Finding", "find_emails", "lint"]
