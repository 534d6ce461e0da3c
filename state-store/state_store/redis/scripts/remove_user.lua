-- By whom, username. Answers 1 when there is no such user.
local username = ARGV[2]
if has_acted(ARGV[1]) then return 0 end
redis.call('ZREM', USERNAMES, username)
redis.call('DEL', KNOWN .. 'user ' .. username)
redis.call('HDEL', USER_RECORDS, username)
count_credentials(redis.call('HGET', CREDENTIALS, username), nil)
if redis.call('HDEL', CREDENTIALS, username) == 0 then return 1 end
-- An instance may be writing the record again at this moment: the log has the last word.
note_users(now_ms(), 'd\t' .. username .. '\t')
-- The old server may still know the user: the next login must not bring him back.
if redis.call('EXISTS', MOVE_SOURCE) == 1 then redis.call('ZADD', MOVED, 'NX', 0, username) end
note_act(ARGV[1], 'user.remove', username)
return 0
