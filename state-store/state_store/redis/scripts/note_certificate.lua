-- When the certificate that a live instance serves expires: its id, seconds since the epoch.
if is_live(ARGV[1], lease_time()) then redis.call('HSET', INSTANCE .. ARGV[1], 'certificate_expires_at', ARGV[2]) end
