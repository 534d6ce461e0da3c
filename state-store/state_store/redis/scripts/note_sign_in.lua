-- By whom, 1 when every sign-in counts, as on the dashboard. Otherwise those of one administrator from one address, by
-- one door and token, are one entry an hour: HTTP Basic signs in with each request. Answers for how many ms that holds.
local by = ARGV[1]
if ARGV[2] == '1' then
  if not has_acted(by) then note_act(by, 'administrator.sign-in', '') end
  return 0
end
local _, name, door, address, token = unpack(cjson.decode(by))
local key = SIGNED_IN .. redis.sha1hex(table.concat({door, address, token, name}, ' '))
if redis.call('SET', key, '', 'NX', 'PX', SIGN_IN_NOTED_MS) then note_act(by, 'administrator.sign-in', '') end
return redis.call('PTTL', key)
