-- By whom, version that is to be changed or '', then field, value and default of each. Sets them and notifies the
-- instances. Answers the new version, or -1 when the settings have another version than the given one.
local by, version = ARGV[1], tonumber(setting('version', 0))
-- After a lost answer a retry finds its own change.
if has_acted(by) then return version end
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= version then return -1 end
for i = 3, #ARGV, 3 do
  local name, value = ARGV[i], ARGV[i + 1]
  local old = setting(name, name == 'mail_directory' and setting('announced_directory', '') or ARGV[i + 2])
  if old ~= value then note_act(by, 'settings.change', name, old, value) end
  redis.call('HSET', SETTINGS, name, value)
  note_activity('setting', 'name', name, 'value', value)
end
version = redis.call('HINCRBY', SETTINGS, 'version', 1)
redis.call('PUBLISH', EVENTS, 'settings')
return version
