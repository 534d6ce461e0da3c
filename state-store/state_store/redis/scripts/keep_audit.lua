-- By whom, how many entries of the audit are kept, and for how many days. What is too much or too old goes at once.
local entries, days = audit_kept()
local is_new = redis.call('EXISTS', AUDIT_KEPT) == 0
redis.call('HSET', AUDIT_KEPT, 'entries', ARGV[2], 'days', ARGV[3])
if entries ~= ARGV[2] and not is_new then note_act(ARGV[1], 'settings.change', 'audit_entries', entries, ARGV[2]) end
if days ~= ARGV[3] and not is_new then note_act(ARGV[1], 'settings.change', 'audit_days', days, ARGV[3]) end
trim_audit()
