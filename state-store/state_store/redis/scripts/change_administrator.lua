-- By whom, 'add', 'password', 'role' or 'remove', name, role or '', hash or ''. Answers 'done', or what is in the way:
-- 'exists', 'full', 'unknown', 'settings' (only they can change this one), 'last' (nobody else may do everything), 'often'
-- (the own password: who may only read must not push acts out of the audit).
local by, change, name, role, hash = unpack(ARGV)
if has_acted(by) then return 'done' end
local named, made = redis.call('HGET', ADMINISTRATORS, name), redis.call('HGET', MADE_ADMINISTRATORS, name)
if change == 'add' then
  if named or made then return 'exists' end
  if redis.call('HLEN', MADE_ADMINISTRATORS) >= MOST_ADMINISTRATORS then return 'full' end
  redis.call('HSET', MADE_ADMINISTRATORS, name, role .. ' ' .. hash)
  note_act(by, 'administrator.add', name, '', role)
  return 'done'
end
if not named and not made then return 'unknown' end
if named and names_of_settings()[name] then return 'settings' end
local old_role, old_hash = 'all', named
if not named then old_role, old_hash = string.match(made, '^(%S+) (%S+)') end
if change == 'role' and role == old_role then return 'done' end
local is_less = change == 'remove' or (change == 'role' and role ~= 'all')
if is_less and old_role == 'all' and not is_another_for_all(name) then return 'last' end
local is_own = change == 'password' and cjson.decode(by)[2] == name
if is_own and not may_be_repeated('password ' .. name) then return 'often' end
-- Who was made by a first start, or is left of settings that name nobody now, is one of these from now on.
redis.call('HDEL', ADMINISTRATORS, name)
if change == 'remove' then
  redis.call('HDEL', MADE_ADMINISTRATORS, name)
  redis.call('DEL', KNOWN .. 'administrator ' .. name)
  note_act(by, 'administrator.remove', name, old_role, '')
elseif change == 'role' then
  -- The act's id makes him somebody else: what he signed in to is over, also when he gets the earlier role back.
  redis.call('HSET', MADE_ADMINISTRATORS, name, table.concat({role, old_hash, cjson.decode(by)[1]}, ' '))
  note_act(by, 'administrator.role', name, old_role, role)
else
  redis.call('HSET', MADE_ADMINISTRATORS, name, old_role .. ' ' .. hash)
  note_act(by, 'administrator.password', name)
end
return 'done'
