-- Username, instance, maildir, row. Answers {outcome, row of the move that another instance has}.
local username, instance, maildir, row, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4], lease_time()
if not is_live(instance, now) then return {'lapsed', ''} end
if redis.call('HEXISTS', CREDENTIALS, username) == 1 then return {'known', ''} end
if redis.call('ZSCORE', MOVED, username) then return {'closed', ''} end
local other, other_row = string.match(redis.call('HGET', MOVING, username) or '', '^(%S+) (.*)$')
if other and other ~= instance and is_live(other, now) then return {'elsewhere', other_row} end
local wanted = instance .. ' ' .. MOVE_SESSION .. username
local lock = redis.call('HGET', MAILDIRS, maildir)
if lock and lock ~= wanted and is_live(holder(lock), now) then return {'in use', ''} end
redis.call('HSET', MAILDIRS, maildir, wanted)
redis.call('HSET', MOVING, username, instance .. ' ' .. now_ms() .. ' ' .. row)
redis.call('HDEL', MOVES_FAILED, username)
return {'begun', ''}
