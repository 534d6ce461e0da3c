-- Username, instance, maildir, row of a failure or '' when all mail is here.
local username, instance, maildir, failure = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
free_maildir(maildir, instance, MOVE_SESSION .. username)
local other = string.match(redis.call('HGET', MOVING, username) or '', '^(%S+) ')
if other ~= instance then return end
redis.call('HDEL', MOVING, username)
if failure == '' then
  redis.call('ZADD', MOVED, now_ms(), username)
else
  redis.call('HSET', MOVES_FAILED, username, now_ms() .. ' ' .. failure)
end
