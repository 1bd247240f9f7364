"""Rate limits of keys and accounts. `limiter.RateLimiter` is the way in."""
