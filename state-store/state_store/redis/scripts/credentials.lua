-- At the head of the scripts that change credentials, after the prelude.

-- The kind of imported hash that a credential holds, nil for one of our own.
local function imported_kind(credential)
  return credential and string.match(credential, '^%S+ {([^}]+)}')
end

-- Notes that a user's credential is another one now; nil, or false as Redis answers, for none.
local function count_credentials(before, after)
  local was, is = imported_kind(before), imported_kind(after)
  if was == is then return end
  if was and redis.call('HINCRBY', IMPORTED_HASHES, was, -1) <= 0 then redis.call('HDEL', IMPORTED_HASHES, was) end
  if is then redis.call('HINCRBY', IMPORTED_HASHES, is, 1) end
end

-- A suspension is of a name: it holds whatever becomes of the password, and of the user.
local function keep_credential(username, before, credential)
  redis.call('HSET', CREDENTIALS, username, credential)
  count_credentials(before, credential)
  if redis.call('HEXISTS', REFUSALS, refusal_id('suspend ' .. username)) == 1 then mark_credential(username, true) end
end

-- A user's credential as it is without the mark of a suspension; false where there is none.
local function credential_of(username)
  local credential = redis.call('HGET', CREDENTIALS, username)
  return credential and string.gsub(credential, '^!', '') or false
end
