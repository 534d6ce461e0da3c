-- Username, version of the credential that a password was checked against, or '' for any. Answers the row of the user's
-- suspension; nothing where there is none, or the password is another one by now.
drop_ended(now_ms())
local credential = redis.call('HGET', CREDENTIALS, ARGV[1])
local marked = '!' .. ARGV[2] .. ' '
if ARGV[2] ~= '' and not (credential and string.sub(credential, 1, #marked) == marked) then return false end
local row = redis.call('HGET', REFUSALS, refusal_id('suspend', ARGV[1]))
if not row then mark_credential(ARGV[1], false) end  -- a store that was put together from two
return row
