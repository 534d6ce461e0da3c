-- The deployment that a process works for ('' where it does not know), and an id for users who have none yet.
-- Answers {the id of the deployment whose store this is, '' while it has no users, 1 when another one is missed}.
local known, id = ARGV[1], redis.call('GET', DEPLOYMENT)
if not id and redis.call('EXISTS', CREDENTIALS) == 1 then
  id = known ~= '' and known or ARGV[2]  -- users of a version before this one, or a backup of then
  redis.call('SET', DEPLOYMENT, id)
end
local is_missed = known ~= '' and id ~= known and redis.call('SISMEMBER', ACCEPTED, known) == 0
if is_missed then redis.call('SADD', MISSED, known) end
-- An empty store is missed by all as soon as it is by one. One with users of its own is not: whoever misses
-- others in it may have come to the wrong server.
return {id or '', (is_missed or not id and redis.call('EXISTS', MISSED) == 1) and 1 or 0}
