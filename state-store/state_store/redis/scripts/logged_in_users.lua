-- The names of users whose maildrop is held by a live instance.
reap(lease_time())
return redis.call('HKEYS', MAILDROPS)
