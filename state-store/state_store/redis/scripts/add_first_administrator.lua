-- Name, hash. 1 when this call made the first administrator, or an earlier one whose answer was lost did.
if redis.call('HGET', ADMINISTRATORS, ARGV[1]) == ARGV[2] then return 1 end
if redis.call('EXISTS', ADMINISTRATORS) == 1 then return 0 end
redis.call('HSET', ADMINISTRATORS, ARGV[1], ARGV[2])
return 1
