-- Instance, ms of a turn, how many entries at most. Answers to the instance whose turn it is how many entries were ever
-- taken from the log, and its oldest ones; to another one nothing.
local turn = redis.call('GET', USER_LOG_TURN)
if turn and turn ~= ARGV[1] then return {'', {}} end
redis.call('SET', USER_LOG_TURN, ARGV[1], 'PX', ARGV[2])
return {redis.call('GET', USER_LOG_TAKEN) or '0', redis.call('LRANGE', USER_LOG, 0, ARGV[3] - 1)}
