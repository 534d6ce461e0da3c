-- Name and hash pairs: the only administrators from now on.
redis.call('DEL', ADMINISTRATORS)
redis.call('HSET', ADMINISTRATORS, unpack(ARGV))
