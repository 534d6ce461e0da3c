-- Cursor of the search, kind or '', text. Looks at some rows, in no order. Answers {the next cursor, '0' at the end, the
-- rows with the text in their subject, who has set them, or their reason, as one text: with a NUL between two}.
local kind, text = ARGV[2], ARGV[3]

local function is_found(row)
  -- Most rows have it nowhere: to part these too took three times as long.
  if not string.find(row, text, 1, true) then return false end
  local its_kind, subject, by_and_reason = string.match(row, '^([^\n]*)\n([^\n]*)\n%d*\n%d*\n(.*)$')
  return (kind == '' or kind == its_kind)
    and (string.find(subject, text, 1, true) or string.find(by_and_reason, text, 1, true))
end

local cursor, page = unpack(redis.call('HSCAN', REFUSALS, ARGV[1], 'COUNT', REFUSALS_A_SEARCH))
local found = {}
for i = 2, #page, 2 do
  if is_found(page[i]) then found[#found + 1] = page[i] end
end
return {cursor, table.concat(found, '\0')}
