-- Address. Counts a wrong password; answers how many there are within the window.
local address, now = ARGV[1], now_ms()
redis.call('LPUSH', WRONG .. address, now)
redis.call('LTRIM', WRONG .. address, 0, 31)
redis.call('PEXPIRE', WRONG .. address, WINDOW_MS)
return recent_wrong(address, now)
