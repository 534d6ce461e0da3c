-- XRANGE or XREVRANGE, where to begin and to end, how many entries are wanted, then their who, door, actions (with a space
-- between two) and object, each '' for any. Looks at AUDIT_LOOKED_AT entries at the most. Answers {the entries, the id of
-- the last one that was looked at ('' for none), 1 when there are more}.
local limit, who, door, actions, object = tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local function is_action(name)
  for action in string.gmatch(actions, '%S+') do
    if name == action or string.sub(name, 1, #action + 1) == action .. '.' then return true end
  end
  return actions == ''
end

local function is_wanted(fields)
  return is_action(fields[10]) and (who == '' or fields[2] == who) and (door == '' or fields[4] == door)
    and (object == '' or string.find(' ' .. fields[12] .. ' ', ' ' .. object .. ' ', 1, true) ~= nil)
end

local found, looked_at, last = {}, 0, ''
local page = redis.call(ARGV[1], AUDIT, ARGV[2], ARGV[3], 'COUNT', AUDIT_LOOKED_AT)
for _, entry in ipairs(page) do
  if #found == limit then break end
  looked_at, last = looked_at + 1, entry[1]
  if is_wanted(entry[2]) then found[#found + 1] = entry end
end
return {found, last, (looked_at < #page or #page == AUDIT_LOOKED_AT) and 1 or 0}
