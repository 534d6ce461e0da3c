-- By whom, the name of whoever that is, id. Answers the version that instances obey then, or 0 when there is no such
-- refusal.
local by, name, id = ARGV[1], ARGV[2], ARGV[3]
if has_acted(by) then return tonumber(setting('version', 0)) end
drop_ended(now_ms())
if redis.call('HEXISTS', REFUSALS, id) == 0 then return 0 end
local kind, subject, reason, ends = drop_refusal(id)
note_act(by, 'refusal.lift', kind .. ' ' .. subject, refusal_shown(reason, ends), '')
note_refusal('lift', kind, subject, name, reason, 0, 1)
return refusals_changed()
