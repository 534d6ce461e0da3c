-- '1' when users that are there get the new credential, '1' when nothing is to be changed, then username and
-- credential of each. Answers 'added', 'updated' or 'exists' for each. The same credential again is a retry.
local is_update, is_trial = ARGV[1] == '1', ARGV[2] == '1'
local answer, tried = {}, {}
for i = 3, #ARGV, 2 do
  local username, credential = ARGV[i], ARGV[i + 1]
  local known = tried[username] or redis.call('HGET', CREDENTIALS, username)
  local outcome = 'added'
  if known and known ~= credential then outcome = is_update and 'updated' or 'exists' end
  if is_trial then
    tried[username] = credential
  elseif outcome ~= 'exists' and known ~= credential then
    keep_credential(username, known, credential)
    redis.call('ZADD', USERNAMES, 0, username)
    -- A deployment gets its id with its first user. The credential contains random octets, so the id is unique.
    redis.call('SETNX', DEPLOYMENT, redis.sha1hex(credential))
  end
  answer[#answer + 1] = outcome
end
return answer
