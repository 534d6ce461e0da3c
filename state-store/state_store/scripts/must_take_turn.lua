-- Address. 1 when even a right password of this address takes its turn.
return must_take_turn(ARGV[1], now_ms()) and 1 or 0
