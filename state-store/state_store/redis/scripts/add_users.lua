-- By whom ('' for nobody), '1' when users that are there get the new credential, '1' when nothing is to be changed,
-- then username and credential of each. Answers 'added', 'updated' or 'exists' for each. The same credential again is a
-- retry.
local by, is_update, is_trial = ARGV[1], ARGV[2] == '1', ARGV[3] == '1'
local answer, tried, added, updated = {}, {}, {}, {}
for i = 4, #ARGV, 2 do
  local username, credential = ARGV[i], ARGV[i + 1]
  local known = tried[username] or credential_of(username)
  local outcome = 'added'
  if known and known ~= credential then outcome = is_update and 'updated' or 'exists' end
  if is_trial then
    tried[username] = credential
  elseif outcome ~= 'exists' and known ~= credential then
    local names = known and updated or added
    names[#names + 1] = username
    keep_credential(username, known, credential)
    redis.call('ZADD', USERNAMES, 0, username)
    -- A deployment gets its id with its first user. The credential contains random octets, so the id is unique.
    redis.call('SETNX', DEPLOYMENT, redis.sha1hex(credential))
  end
  answer[#answer + 1] = outcome
end
-- Names have no spaces. An entry holds those of one step, so that a large import does not push older entries out.
if by ~= '' and #added > 0 then note_act(by, 'user.add', table.concat(added, ' ')) end
if by ~= '' and #updated > 0 then note_act(by, 'password.set', table.concat(updated, ' ')) end
return answer
