-- The id of the deployment that a process works for ('' if unknown), and an id for a deployment without one. Answers
-- {the id of the deployment whose store this is ('' while it has no users), 1 when the process's own is missing}.
local known, id = ARGV[1], redis.call('GET', DEPLOYMENT)
if not id and redis.call('EXISTS', CREDENTIALS) == 1 then
  id = known ~= '' and known or ARGV[2]  -- users from a version before ids, or from such a backup
  redis.call('SET', DEPLOYMENT, id)
end
local is_missed = known ~= '' and id ~= known and redis.call('SISMEMBER', ACCEPTED, known) == 0
if is_missed then redis.call('SADD', MISSED, known) end
-- Once one process misses its deployment in an empty store, all do. In a store with users only that process does:
-- it may be connected to the wrong server.
return {id or '', (is_missed or not id and redis.call('EXISTS', MISSED) == 1) and 1 or 0}
