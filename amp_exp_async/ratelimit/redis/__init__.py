"""One limit for several processes: Redis divides the permits among them, and each spends its part by itself.

A part is a number of permits. Its process uses them again and again without asking, by the rules of its own ledger, and
tells Redis now and then how many it needs: that is one round trip for many requests. What it does not need, or has more
of than is fair while others wait, it lets rest until their second is over, and then gives up.
"""

from .pacer import create_redis_limiter

__all__ = ["create_redis_limiter"]
