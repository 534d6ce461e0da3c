-- Instance, ms of a turn, how many entries at most. Answers the oldest entries of the log, {{id, {field, notes}}...}, to
-- the instance whose turn it is; none to another one.
local turn = redis.call('GET', USER_LOG_TURN)
if turn and turn ~= ARGV[1] then return {} end
redis.call('SET', USER_LOG_TURN, ARGV[1], 'PX', ARGV[2])
return redis.call('XRANGE', USER_LOG, '-', '+', 'COUNT', ARGV[3])
