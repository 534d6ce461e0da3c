-- Name, hash. 1 when this call made the first administrator.
if redis.call('EXISTS', ADMINISTRATORS) == 1 then return 0 end
redis.call('HSET', ADMINISTRATORS, ARGV[1], ARGV[2])
return 1
