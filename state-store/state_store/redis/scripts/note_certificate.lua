-- Id of a live instance, when its certificate expires, in seconds since the epoch.
if is_live(ARGV[1], lease_time()) then redis.call('HSET', INSTANCE .. ARGV[1], 'certificate_expires_at', ARGV[2]) end
