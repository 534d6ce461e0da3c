-- Answers the server's time in ms.
return now_ms()
