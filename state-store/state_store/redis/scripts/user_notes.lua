-- At the head of the scripts that note something of users, after the prelude.

-- Adds lines of notes, headed by the time in seconds. The older half goes where no instance has taken them for a long
-- time.
local function note_users(now, lines)
  -- Not as one string: Lua would copy and hash the lines once more.
  redis.call('APPEND', USER_NOTES, string.format('\n=%d\n', now / 1000))
  local length = redis.call('APPEND', USER_NOTES, lines)
  if length > MOST_NOTES_OCTETS then
    local kept = redis.call('GETRANGE', USER_NOTES, math.floor(length / 2), -1)
    redis.call('SET', USER_NOTES, string.sub(kept, string.find(kept, '\n=%d+\n') or #kept + 1))
  end
end
