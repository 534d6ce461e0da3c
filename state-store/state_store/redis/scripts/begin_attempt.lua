-- Subject, network, digest or '', 1 when the network is trusted, 1 when the pair counts as unknown, 1 when this
-- attempt asks for the first time, then 1 each when others wait for the allowance of the pair, of the network, of
-- the user. Answers {verdict, 1 when taken from the pair's allowance, 1 when from the network's and the user's, ms
-- to wait, for which allowance, the entry to remember if the password is wrong}.
local subject, network, digest, now = ARGV[1], ARGV[2], ARGV[3], now_ms()
local is_trusted, as_unknown, is_first = ARGV[4] == '1', ARGV[5] == '1', ARGV[6] == '1'
local others_for_pair, others_for_network, others_for_user = ARGV[7] == '1', ARGV[8] == '1', ARGV[9] == '1'
local of_pair, of_network, of_user = 'pair ' .. network .. ' ' .. subject, 'network ' .. network, 'user ' .. subject

local entry = ''
if digest ~= '' then
  local key = REFUSED .. network .. ' ' .. subject
  entry = refused_entry(subject, digest)
  if redis.call('LREM', key, 1, entry) == 1 then
    redis.call('LPUSH', key, entry)
    redis.call('PEXPIRE', key, REFUSED_MS)
    note_refused(subject, network, 'wrong password again', now)
    return {'repeated', 0, 0, 0, '', ''}
  end
end
if is_trusted then return {'go', 0, 0, 0, '', entry} end

local is_known = not as_unknown and is_known_pair(subject, network, now)
local network_wait, network_is_spent = shortage(of_network, now)
local user_wait, user_is_spent = shortage(of_user, now)
local pair_wait, pair_is_spent = shortage(of_pair, now)
local from_pair = is_known and pair_wait == 0 and not others_for_pair
local from_network = network_wait == 0 and user_wait == 0 and not others_for_network and not others_for_user
if from_pair then take(of_pair, now) end
if from_network then
  take(of_network, now)
  take(of_user, now)
end
if from_pair or from_network then return {'go', from_pair and 1 or 0, from_network and 1 or 0, 0, '', entry} end

local id, wait, is_spent = of_user, user_wait, user_is_spent
if is_known then
  id, wait, is_spent = of_pair, pair_wait, pair_is_spent
elseif network_wait > 0 or others_for_network then
  id, wait, is_spent = of_network, network_wait, network_is_spent
end
if is_first and is_spent then note_slowed(id, subject, network, now) end
return {'wait', 0, 0, wait, id, ''}
