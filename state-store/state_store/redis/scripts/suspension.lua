-- Username, version of the credential that a password was checked against, or '' for any. Answers the row of the user's
-- suspension; nothing where there is none, or the password is another one by now.
local now, id = now_ms(), refusal_id('suspend ' .. ARGV[1])
-- First of all that have ended: they may be more than are dropped at once.
if tonumber(redis.call('ZSCORE', REFUSAL_ENDS, id) or now + 1) <= now then redis.call('ZADD', REFUSAL_ENDS, 0, id) end
drop_ended(now)
local credential = redis.call('HGET', CREDENTIALS, ARGV[1])
local marked = '!' .. ARGV[2] .. ' '
if ARGV[2] ~= '' and not (credential and string.sub(credential, 1, #marked) == marked) then return false end
local row = redis.call('HGET', REFUSALS, id)
if not row then mark_credential(ARGV[1], false) end  -- a store that was put together from two
return row
