-- By whom, id of a sign-in on the dashboard, for how many seconds its cookie would be valid.
local key = SIGNED_IN .. redis.sha1hex('sign-out ' .. cjson.decode(ARGV[1])[2])
if redis.call('SET', SIGNED_OUT .. ARGV[2], '', 'NX', 'EX', ARGV[3])
  and is_within(key, MOST_SIGN_INS, SIGN_IN_NOTED_MS / MOST_SIGN_INS, now_ms()) then
  note_act(ARGV[1], 'administrator.sign-out', '')
end
