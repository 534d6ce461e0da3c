-- The names of users whose maildrop is held by a live instance.
reap(now_ms())
return redis.call('HKEYS', MAILDROPS)
