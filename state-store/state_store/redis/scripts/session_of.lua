-- Username. Answers the instance, the id and the row of the session that holds the maildrop; the row may be missing yet.
local instance, session = holder(redis.call('HGET', MAILDROPS, ARGV[1]))
if not instance or not is_live(instance, lease_time()) then return {} end
return {instance, session, redis.call('HGET', SESSIONS .. instance, session) or nil}
