-- Instance id. Ends its lease now, and everything that hangs on it.
local now = lease_time()
if redis.call('ZSCORE', LEASES, ARGV[1]) then redis.call('ZADD', LEASES, now, ARGV[1]) end
reap(now)
