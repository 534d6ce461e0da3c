-- Name and hash pairs: the only administrators from now on.
redis.call('DEL', ADMINISTRATORS)
if #ARGV > 0 then redis.call('HSET', ADMINISTRATORS, unpack(ARGV)) end
