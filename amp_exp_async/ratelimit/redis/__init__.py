"""One rate limit for several processes: Redis divides the permits among them.

A lease is a number of permits that a process may use, again and again, without asking. Each process refreshes its lease
now and then, and reports how many permits it wants: that is one round trip to Redis for many requests. When a lease
shrinks, the permits in excess cool down first, and are then given up.
"""

from .limiter import create_redis_limiter

__all__ = ["create_redis_limiter"]
