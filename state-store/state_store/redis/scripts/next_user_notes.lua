-- Instance, ms of a turn, from how many octets notes are taken, and from which age, s. Answers to the instance whose turn
-- it is, where there is something to take, the step of taking that comes next; else 0.
local turn = redis.call('GET', USER_NOTES_TURN)
if turn and turn ~= ARGV[1] then return 0 end
redis.call('SET', USER_NOTES_TURN, ARGV[1], 'PX', ARGV[2])
if redis.call('EXISTS', USER_NOTES_TAKEN) == 1 then return tonumber(redis.call('GET', USER_NOTES_STEP)) end
local since = string.match(redis.call('GETRANGE', USER_NOTES, 0, 20), '^\n=(%d+)')
if not since then return 0 end
if redis.call('STRLEN', USER_NOTES) < tonumber(ARGV[3]) and math.abs(now_ms() / 1000 - since) < tonumber(ARGV[4]) then
  return 0
end
-- Each taking has as many steps as there are groups, and no number of an earlier one.
local step = (math.floor(tonumber(redis.call('GET', USER_NOTES_STEP) or 0) / USER_GROUPS) + 1) * USER_GROUPS
redis.call('SET', USER_NOTES_STEP, string.format('%.0f', step))
redis.call('RENAME', USER_NOTES, USER_NOTES_TAKEN)
redis.call('SET', RECORDS_SINCE, since, 'NX')
return step
