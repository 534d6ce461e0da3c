-- Version that is to be changed or '', then field and value pairs. Sets them and notifies the instances. Answers the
-- new version, or -1 when the settings have another version than the given one.
local version = tonumber(setting('version', 0))
if ARGV[1] ~= '' and tonumber(ARGV[1]) ~= version then
  -- After a lost answer a retry finds its own change.
  local is_done = version == tonumber(ARGV[1]) + 1
  for i = 2, #ARGV, 2 do is_done = is_done and redis.call('HGET', SETTINGS, ARGV[i]) == ARGV[i + 1] end
  return is_done and version or -1
end
for i = 2, #ARGV, 2 do
  redis.call('HSET', SETTINGS, ARGV[i], ARGV[i + 1])
  note_activity('setting', 'name', ARGV[i], 'value', ARGV[i + 1])
end
version = redis.call('HINCRBY', SETTINGS, 'version', 1)
redis.call('PUBLISH', EVENTS, 'settings')
return version
