-- Id of a process. Takes the turn of watching if nobody has it, and keeps it. Answers what is noted, as field and value
-- pairs; nothing while another process has the turn.
local watcher = redis.call('GET', HEALTH_WATCHER)
if watcher and watcher ~= ARGV[1] then return false end
redis.call('SET', HEALTH_WATCHER, ARGV[1], 'PX', HEALTH_TURN_MS)
return redis.call('HGETALL', HEALTH)
