-- From which name to which (as ZRANGEBYLEX has them), how many at most. Answers {s, {name...}, {'!' where suspended and
-- the scheme of an imported hash...}}.
local names = redis.call('ZRANGEBYLEX', USERNAMES, ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local now = math.floor(now_ms() / 1000)
if #names == 0 then return {now, names, {}} end
local marks = redis.call('HMGET', CREDENTIALS, unpack(names))
for i, credential in ipairs(marks) do
  local mark, scheme = string.match(credential or '', '^(!?)%S+ {?([A-Z0-9-]*)')
  marks[i] = (mark or '') .. (scheme or '')
end
return {now, names, marks}
