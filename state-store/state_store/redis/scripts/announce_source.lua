-- By whom, the old server that users' mail is moved from.
local before = redis.call('GET', MOVE_SOURCE)
if before == ARGV[2] then return end
redis.call('SET', MOVE_SOURCE, ARGV[2])
note_act(ARGV[1], 'settings.change', 'move_source', before, ARGV[2])
