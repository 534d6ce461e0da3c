-- By whom. Accepts the store as it is. Answers the ids of the deployments that were missed in it.
local missed = redis.call('SMEMBERS', MISSED)
if #missed > 0 then
  redis.call('SADD', ACCEPTED, unpack(missed))
  redis.call('DEL', MISSED)
  note_act(ARGV[1], 'store.accept', table.concat(missed, ' '))
end
return missed
