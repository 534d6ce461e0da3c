-- Answers the names of users whose maildrop a live instance holds.
reap(lease_time())
return redis.call('HKEYS', MAILDROPS)
