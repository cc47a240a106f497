"""What is likely a mistake in a state, or is there for nothing."""

from .finding import Finding
from .rules import LINT_RULES, lint

__all__ = ["LINT_RULES", "Finding", "lint"]
