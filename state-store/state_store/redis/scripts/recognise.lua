-- Subject, network. Answers 1 when it has logged in from there lately.
return is_known_pair(ARGV[1], ARGV[2], now_ms()) and 1 or 0
