-- By whom, version that is to be changed or '', then of each setting its name, value, default, and the value that is to
-- be changed or ''; one that is as wanted already is no obstacle. Sets them and notifies the instances. Answers the new
-- version, or -1 when the settings have another version, or a setting another value, than the given one.
local by, version = ARGV[1], tonumber(setting('version', 0))
-- After a lost answer a retry finds its own change.
if has_acted(by) then return version end
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= version - tonumber(setting('refusals_version', 0)) then return -1 end
local old = {}
for i = 3, #ARGV, 4 do
  local name, default = ARGV[i], ARGV[i + 2]
  if name == 'mail_directory' then default = setting('announced_directory', '') end
  old[name] = setting(name, default)
  if ARGV[i + 3] ~= '' and ARGV[i + 3] ~= old[name] and ARGV[i + 1] ~= old[name] then return -1 end
end
for i = 3, #ARGV, 4 do
  local name, value = ARGV[i], ARGV[i + 1]
  if old[name] ~= value then note_act(by, 'settings.change', name, old[name], value) end
  redis.call('HSET', SETTINGS, name, value)
  note_activity('setting', 'name', name, 'value', value)
end
version = redis.call('HINCRBY', SETTINGS, 'version', 1)
redis.call('PUBLISH', EVENTS, 'settings')
return version
