-- By whom, without a name. An entry an hour tells how many sign-ins were refused since the one before it: strangers can
-- push nothing out of the audit.
local refused = redis.call('INCR', REFUSED_SIGN_INS)
if redis.call('SET', REFUSED_SIGN_INS_NOTED, '', 'NX', 'PX', SIGN_IN_NOTED_MS) then
  redis.call('DEL', REFUSED_SIGN_INS)
  note_act(ARGV[1], 'administrator.refuse', '', '', refused)
end
