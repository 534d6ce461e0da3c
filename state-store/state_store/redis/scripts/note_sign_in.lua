-- By whom, 1 when every sign-in counts, as on the dashboard, and the network. Otherwise those of one administrator from one
-- network, by one door and token, are one entry an hour: HTTP Basic signs in with each request. Answers for how many ms
-- that holds. Of the dashboard's the first so many an hour count: who may only read must not push acts out.
local by = ARGV[1]
local _, name, door, _, token = unpack(cjson.decode(by))
if ARGV[2] == '1' then
  local key = SIGNED_IN .. redis.sha1hex(door .. ' ' .. name)
  if not has_acted(by) and is_within(key, PAGE_SIGN_INS, SIGN_IN_NOTED_MS / PAGE_SIGN_INS, now_ms()) then
    note_act(by, 'administrator.sign-in', '')
  end
  return 0
end
local key = SIGNED_IN .. redis.sha1hex(table.concat({door, ARGV[3], token, name}, ' '))
if redis.call('SET', key, '', 'NX', 'PX', SIGN_IN_NOTED_MS) then note_act(by, 'administrator.sign-in', '') end
return redis.call('PTTL', key)
