"""Rate limiting: the limits a client keeps to, within a process and across processes."""

from .limits import Paused, RateLimit, RedisRateLimit
from .pacing import Pacer

__all__ = ["Pacer", "Paused", "RateLimit", "RedisRateLimit"]
