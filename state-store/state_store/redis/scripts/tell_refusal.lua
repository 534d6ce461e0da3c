-- Username, network, reason, maildir ('' when unknown), of a login that is refused though its password is right. Answers
-- the id and the row of the session that holds the maildrop, or the maildir under another name; of a session without a
-- row the id alone; nothing when both are free.
note_refused('user ' .. ARGV[1], ARGV[2], ARGV[3], now_ms())
local instance, session = holder(redis.call('HGET', MAILDROPS, ARGV[1]) or redis.call('HGET', MAILDIRS, ARGV[4]))
if not instance then return {} end
return {session, redis.call('HGET', SESSIONS .. instance, session) or nil}
