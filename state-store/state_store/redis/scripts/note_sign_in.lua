-- By whom, 1 when every sign-in counts, as on the dashboard, and the network. Otherwise those of one administrator from one
-- network, by one door and token, are one entry an hour: HTTP Basic signs in with each request. Answers for how many ms
-- that holds. Of either kind so many an hour are entries: who may only read must not push acts out, from however many
-- networks.
local by = ARGV[1]
local _, name, door, _, token = unpack(cjson.decode(by))

local function may_be_noted()
  return may_be_repeated(table.concat({'rate', door, token, name}, ' '))
end

if ARGV[2] == '1' then
  if not has_acted(by) and may_be_noted() then note_act(by, 'administrator.sign-in', '') end
  return 0
end
local key = SIGNED_IN .. redis.sha1hex(table.concat({door, ARGV[3], token, name}, ' '))
if redis.call('SET', key, '', 'NX', 'PX', SIGN_IN_NOTED_MS) then
  if may_be_noted() then
    note_act(by, 'administrator.sign-in', '')
  else
    redis.call('PEXPIRE', key, SIGN_IN_NOTED_MS / MOST_SIGN_INS)
  end
end
return redis.call('PTTL', key)
