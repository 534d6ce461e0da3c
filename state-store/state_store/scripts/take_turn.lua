-- Address, ticket. 1 when this ticket may have its password checked now.
local address, ticket, now = ARGV[1], ARGV[2], now_ms()
drop_lost_tickets(address, now)
local turns, deadlines = TURNS .. address, DEADLINES .. address
if not redis.call('ZSCORE', turns, ticket) then
  local last = redis.call('ZRANGE', turns, -1, -1, 'WITHSCORES')
  redis.call('ZADD', turns, tonumber(last[2] or 0) + 1, ticket)
end
local place = redis.call('ZRANK', turns, ticket)
local has_turn = place == 0 or place + recent_wrong(address, now) < FREE_WRONG_PASSWORDS
redis.call('ZADD', deadlines, now + (has_turn and TURN_MS or TICKET_MS), ticket)
redis.call('PEXPIRE', turns, WINDOW_MS)
redis.call('PEXPIRE', deadlines, WINDOW_MS)
return has_turn and 1 or 0
