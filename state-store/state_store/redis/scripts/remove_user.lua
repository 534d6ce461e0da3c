-- By whom, username, group of its record. Answers 1 when there is no such user.
local username, group = ARGV[2], USER_RECORDS .. ARGV[3]
if has_acted(ARGV[1]) then return 0 end
redis.call('ZREM', USERNAMES, username)
redis.call('DEL', KNOWN .. 'user ' .. username)
local records = redis.call('GET', group)
local first = records and string.find(records, '\n' .. username .. '\t', 1, true)
if first then
  local last = string.find(records, '\n', first + 1, true)
  redis.call('SET', group, string.sub(records, 1, first - 1) .. string.sub(records, last))
end
count_credentials(redis.call('HGET', CREDENTIALS, username), nil)
if redis.call('HDEL', CREDENTIALS, username) == 0 then return 1 end
-- Older notes wait, and an instance may be writing the group again at this moment: the last note has the last word.
note_users(now_ms(), username .. '\td')
-- The old server may still know the user: the next login must not bring him back.
if redis.call('EXISTS', MOVE_SOURCE) == 1 then redis.call('ZADD', MOVED, 'NX', 0, username) end
note_act(ARGV[1], 'user.remove', username)
return 0
