"""Health checks of POP3: `check` asks every process of a port, `answer` is each process's end."""
