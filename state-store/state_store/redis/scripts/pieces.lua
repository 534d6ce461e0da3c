-- At the head of the scripts that give a command very many values: `unpack` gives no more than 8,000, hence pieces
-- (of an even number: fields and values stay together).
local PIECE = 1000

local function write_in_pieces(command, key, words, first, last)
  for from = first, last, PIECE do
    redis.call(command, key, unpack(words, from, math.min(from + PIECE - 1, last)))
  end
end
