-- By whom, front end, a `records.Naming`, '' or the hashes (JSON, by name) that were there when the following ones were
-- made, then name and hash pairs of the administrators that its settings name. Removes those that no live front end
-- names, unless the word is 'keep' or 'first'; whoever was made while the services ran stays, unless this front end's
-- settings name him: from then on he is theirs. Only 'start' replaces hashes: those named again may be older. 'keep' adds
-- nobody. Answers 0, and changes nothing, when the word is 'first' and somebody may do everything already, unless he was
-- made by this very call: its answer was lost then. Answers 0 also when a hash is neither the one that was nor the one
-- that is to be: another front end was faster, and its hash may fit as well.
trim_audit()  -- front ends come by every few seconds: nothing is kept for longer because nobody acts
local by, own, word, named = ARGV[1], ARGV[2], ARGV[3], {}
if word == 'first' and is_another_for_all('') and redis.call('HGET', ADMINISTRATORS, ARGV[5]) ~= ARGV[6] then return 0 end
local known = ARGV[4] ~= '' and cjson.decode(ARGV[4])
for i = 5, known and #ARGV or 0, 2 do
  local present = redis.call('HGET', ADMINISTRATORS, ARGV[i])
  if present and present ~= known[ARGV[i]] and present ~= ARGV[i + 1] then return 0 end
end
for front_end, claim in pairs(live_claims()) do
  if front_end ~= own then
    for name in string.gmatch(claim[1], '%S+') do named[name] = true end
  end
end
local is_by_settings = word == 'start' or word == 'again'
local claim = string.format('%.0f', now_ms()) .. (is_by_settings and '' or '~')
for i = 5, #ARGV, 2 do
  local name, hash = ARGV[i], ARGV[i + 1]
  local before = redis.call('HGET', ADMINISTRATORS, name)
  if word ~= 'keep' and (not before or word == 'start' and before ~= hash) then
    local made = redis.call('HGET', MADE_ADMINISTRATORS, name)
    redis.call('HDEL', MADE_ADMINISTRATORS, name)
    redis.call('HSET', ADMINISTRATORS, name, hash)
    note_act(by, (before or made) and 'administrator.password' or 'administrator.add', name)
    local role = made and string.match(made, '^%S+') or 'all'
    if role ~= 'all' then note_act(by, 'administrator.role', name, role, 'all') end
  end
  named[name] = true
  claim = claim .. ' ' .. name
end
redis.call('HSET', FRONT_ENDS, own, claim)
if not is_by_settings then return 1 end
for _, name in ipairs(redis.call('HKEYS', ADMINISTRATORS)) do
  if not named[name] then
    redis.call('HDEL', ADMINISTRATORS, name)
    note_act(by, 'administrator.remove', name)
  end
end
return 1
