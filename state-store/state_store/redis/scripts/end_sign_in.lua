-- By whom, id of a sign-in on the dashboard, for how many seconds its cookie would be valid.
if redis.call('SET', SIGNED_OUT .. ARGV[2], '', 'NX', 'EX', ARGV[3])
  and may_be_repeated('sign-out ' .. cjson.decode(ARGV[1])[2]) then
  note_act(ARGV[1], 'administrator.sign-out', '')
end
