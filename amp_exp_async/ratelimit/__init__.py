"""Rate limiting: `create_limiter` returns the `RateLimiter` that every request of a client has to pass."""

from .config import RateLimit, RedisRateLimit
from .factory import create_limiter
from .limiter import LimitExceededError, RateLimiter, get_running_loop, share_with_key
from .window import SECONDS_PER_DAY, seconds_to_midnight

__all__ = [
    "SECONDS_PER_DAY",
    "LimitExceededError",
    "RateLimit",
    "RateLimiter",
    "RedisRateLimit",
    "create_limiter",
    "get_running_loop",
    "seconds_to_midnight",
    "share_with_key",
]
