-- The step of taking that this is, and the next one; by whom the new records are; how many groups have new ones, then
-- their numbers; then numbers of groups that are empty. Answers 1. When another instance has made this step, or has written
-- new records since, does nothing and answers 0.
if redis.call('GET', USER_NOTES_STEP) ~= ARGV[1] or redis.call('GET', NEW_USER_RECORDS .. 'author') ~= ARGV[3] then
  return 0
end
local groups_end = 4 + ARGV[4]
for i = 5, groups_end do redis.call('RENAME', NEW_USER_RECORDS .. ARGV[i], USER_RECORDS .. ARGV[i]) end
for i = groups_end + 1, #ARGV do redis.call('DEL', USER_RECORDS .. ARGV[i]) end
redis.call('SET', USER_NOTES_STEP, ARGV[2])
if ARGV[2] % USER_GROUPS == 0 then redis.call('DEL', USER_NOTES_TAKEN) end
return 1
