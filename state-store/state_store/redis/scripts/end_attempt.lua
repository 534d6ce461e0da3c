-- Subject, network, the entry to remember of a wrong password or '', outcome, 1 when it was taken from the pair's
-- allowance, 1 when from those of the network and the user, reason of the refusal or ''.
local subject, network, entry, outcome, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4], now_ms()
local gives_back = outcome == 'right' or outcome == 'unchecked'
if ARGV[5] == '1' then check_ended('pair ' .. network .. ' ' .. subject, gives_back, now) end
if ARGV[6] == '1' then
  check_ended('network ' .. network, gives_back, now)
  check_ended('user ' .. subject, gives_back, now)
end
if outcome == 'right' then remember_pair(subject, network, now) end
if outcome ~= 'wrong' then return end
-- The entry was made before the check, with the credential of then: one set meanwhile may have this password.
if entry ~= '' then
  local key = REFUSED .. network .. ' ' .. subject
  redis.call('LPUSH', key, entry)
  redis.call('LTRIM', key, 0, REFUSED_PASSWORDS - 1)
  redis.call('PEXPIRE', key, REFUSED_MS)
end
note_refused(subject, network, ARGV[7], now)
