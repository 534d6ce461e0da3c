-- By whom, session id, 1 to notify its instance, then the user whose maildrop it holds, '' if only its row counts. While
-- a live instance has this session open, answers '' if it has a row, else its user: a login is among the activities
-- before the row is written.
local now = lease_time()

local function find(session)
  for _, instance in ipairs(live_instances(now)) do
    local row = redis.call('HGET', SESSIONS .. instance, session)
    if row then
      local username, address = unpack(cjson.decode(row))
      return '', username ~= cjson.null and username, address
    end
  end
  local instance, its_session = holder(ARGV[4] ~= '' and redis.call('HGET', MAILDROPS, ARGV[4]))
  if its_session == session and is_live(instance, now) then return ARGV[4], ARGV[4] end
end

local answer, username, address = find(ARGV[2])
if not answer then return false end
if ARGV[3] == '1' then
  redis.call('PUBLISH', EVENTS, 'close ' .. ARGV[2])
  if not has_acted(ARGV[1]) then
    note_act(ARGV[1], 'session.close', ARGV[2] .. (username and ' ' .. username or ''), address)
  end
end
return answer
