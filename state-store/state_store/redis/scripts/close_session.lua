-- By whom, session id, 1 to notify its instance. Answers 1 when a live instance has this session open.
for _, instance in ipairs(live_instances(lease_time())) do
  local row = redis.call('HGET', SESSIONS .. instance, ARGV[2])
  if row then
    if ARGV[3] == '1' then
      redis.call('PUBLISH', EVENTS, 'close ' .. ARGV[2])
      if not has_acted(ARGV[1]) then
        local username, address = unpack(cjson.decode(row))
        note_act(ARGV[1], 'session.close', ARGV[2] .. (username ~= cjson.null and ' ' .. username or ''), address)
      end
    end
    return 1
  end
end
return 0
