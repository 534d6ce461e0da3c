-- Set one field of the settings and tell everybody; answers the new version.
redis.call('HSET', SETTINGS, ARGV[1], ARGV[2])
local version = redis.call('HINCRBY', SETTINGS, 'version', 1)
redis.call('PUBLISH', EVENTS, 'settings')
return version
