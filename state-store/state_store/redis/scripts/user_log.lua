-- At the head of the scripts that note something of users, after the prelude.

-- Adds lines of notes to the log, as an entry that begins with the time in seconds. The log has its end only where no
-- instance has taken it for a long time.
local function note_users(now, lines)
  local length = redis.call('RPUSH', USER_LOG, string.format('%d\n', now / 1000) .. lines)
  if length > USER_LOG_LENGTH then
    redis.call('LTRIM', USER_LOG, length - USER_LOG_LENGTH, -1)
    redis.call('INCRBY', USER_LOG_TAKEN, length - USER_LOG_LENGTH)
  end
end
