-- Announces the mail directory that holds until one is set: by whom, path, 1 when it replaces an earlier one while no
-- instance is live. Answers the directory in force.
local before, path = redis.call('HGET', SETTINGS, 'announced_directory'), ARGV[2]
local is_set = redis.call('HGET', SETTINGS, 'mail_directory')
if before ~= path and (not before or ARGV[3] == '1' and #live_instances(lease_time()) == 0) then
  redis.call('HSET', SETTINGS, 'announced_directory', path)
  if not is_set then note_act(ARGV[1], 'settings.change', 'mail_directory', before, path) end
  if ARGV[3] == '1' then
    redis.call('HINCRBY', SETTINGS, 'version', 1)
    redis.call('PUBLISH', EVENTS, 'settings')
  end
  before = path
end
return is_set or before
