/*
 * peepbench: a PEEP load generator, one thread, epoll, no dependency.
 *
 * Build:  cc -O2 -o peepbench peepbench.c
 * Usage:  peepbench -p PORT -w PASSWORD [-a ADMINISTRATOR] [-m COMMAND] [-c CONNECTIONS] [-d DEPTH]
 *                   [-s SECONDS] [-n COMMANDS] [-e EXPECTED] [-u PREFIX] [-k]
 *
 *   -m cc?     the answer must be one integer, and be EXPECTED where that is given
 *   -m u+      adds users PREFIX0, PREFIX1, ...; the answer must be `+`
 *   -m u?      the answer must have as many lines as it says (and EXPECTED where given), sorted, no name twice
 *   -d DEPTH   commands that each connection keeps under way: 1 waits for each answer
 *   -n         ends after so many commands, at the latest after SECONDS
 *   -k         one more session asks `cc?` meanwhile, one at a time: probe_max_us is its longest wait
 *
 * All sessions log in before the clock starts. Every answer is looked at. Prints one line of key=value
 * figures, times in microseconds; exit 1 when any command failed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1024, MAX_DEPTH = 64, LINE_OCTETS = 512, COMMAND_OCTETS = 320 };
enum command { SHOW_CONNECTIONS, ADD_USER, SHOW_USERS };

static const char *const commencements[] = {"cc?", "u+", "u?"};

struct session {
    int fd;
    enum command command;
    bool is_probe;
    double sent_at[MAX_DEPTH]; /* a ring: answers come in the order of the commands */
    unsigned sent, answered;
    long lines_left;           /* of a multi-line answer */
    char line[LINE_OCTETS + 1], last_name[LINE_OCTETS + 1];
    size_t line_octets;
};

struct waits { double *seconds; size_t count, room; };

static const char *administrator = "admin", *password = "", *prefix = "user";
static enum command wanted = SHOW_CONNECTIONS;
static long expected = -1, max_commands = -1;
static unsigned depth = 1;
static int port, poller;
static long started_commands, failed, octets_in, lines_in;
static struct waits waits, probe_waits;
static double give_up_at, stop_at;
static char first_error[128];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void die(const char *what) {
    fprintf(stderr, "peepbench: %s\n", what);
    exit(1);
}

static void note(struct waits *to, double seconds) {
    if (to->count == to->room) {
        to->room = to->room ? 2 * to->room : 65536;
        to->seconds = realloc(to->seconds, to->room * sizeof *to->seconds);
        if (!to->seconds) die("out of memory");
    }
    to->seconds[to->count++] = seconds;
}

static void fail(const char *why, const char *line) {
    failed++;
    if (!first_error[0]) snprintf(first_error, sizeof first_error, "%s: %.60s", why, line);
}

static bool goes_on(const struct session *session, double at) {
    if (at >= stop_at) return false;
    /* The probe goes on as long as the others have answers to wait for. */
    return session->is_probe ? max_commands < 0 || (long)waits.count < max_commands
                             : max_commands < 0 || started_commands < max_commands;
}

/* Sends as many commands as DEPTH allows, in one segment. */
static void fill(struct session *session) {
    char text[MAX_DEPTH * COMMAND_OCTETS];
    size_t octets = 0;
    double at = now();
    unsigned limit = session->is_probe ? 1 : depth;
    while (session->sent - session->answered < limit && goes_on(session, at)) {
        int added = session->command == ADD_USER
            ? snprintf(text + octets, COMMAND_OCTETS, "u+ %s%ld secret\r\n", prefix, started_commands)
            : snprintf(text + octets, COMMAND_OCTETS, "%s\r\n", commencements[session->command]);
        octets += (size_t)added;
        session->sent_at[session->sent++ % MAX_DEPTH] = at;
        if (!session->is_probe) started_commands++;
    }
    if (octets && send(session->fd, text, octets, MSG_NOSIGNAL) != (ssize_t)octets) die("cannot send");
}

static void answered(struct session *session) {
    double wait = now() - session->sent_at[session->answered++ % MAX_DEPTH];
    note(session->is_probe ? &probe_waits : &waits, wait);
}

static void take_first_line(struct session *session, const char *line) {
    char *end;
    if (line[0] != '+') { fail("refused", line); answered(session); return; }
    if (session->command == ADD_USER) {
        if (line[1]) fail("not +", line);
        answered(session);
        return;
    }
    long number = strtol(line + 1, &end, 10);
    if (end == line + 1 || *end || number < 0) fail("no integer", line);
    if (expected >= 0 && !session->is_probe && number != expected) fail("another number", line);
    session->lines_left = session->command == SHOW_USERS ? number : 0;
    lines_in += session->lines_left;
    session->last_name[0] = 0;
    if (!session->lines_left) answered(session);
}

static void take_name(struct session *session, const char *line) {
    if (strcmp(session->last_name, line) >= 0) fail("not sorted", line);
    strcpy(session->last_name, line);
    if (--session->lines_left == 0) answered(session);
}

static void take_line(struct session *session) {
    if (session->line_octets < 2 || session->line[session->line_octets - 2] != '\r') die("a line without CR");
    session->line[session->line_octets - 2] = 0;
    session->line_octets = 0;
    if (session->sent == session->answered) die("an answer that nobody asked for");
    if (session->lines_left) take_name(session, session->line);
    else take_first_line(session, session->line);
}

static void take(struct session *session, const char *octets, size_t count) {
    while (count) {
        const char *end = memchr(octets, '\n', count);
        size_t part = end ? (size_t)(end - octets) + 1 : count;
        if (session->line_octets + part > LINE_OCTETS) die("a line over 512 octets");
        memcpy(session->line + session->line_octets, octets, part);
        session->line_octets += part;
        if (end) take_line(session);
        octets += part;
        count -= part;
    }
}

static void receive(struct session *session) {
    static char buffer[256 * 1024];
    ssize_t count = recv(session->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) die("the server closed the connection");
    octets_in += count;
    take(session, buffer, (size_t)count);
    fill(session);
}

static void log_in(struct session *session) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char text[COMMAND_OCTETS], answer[64] = {0};
    int one = 1;
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    session->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(session->fd, (struct sockaddr *)&to, sizeof to) < 0) die("cannot connect");
    int octets = snprintf(text, sizeof text, "a %s %s\r\n", administrator, password);
    if (send(session->fd, text, (size_t)octets, MSG_NOSIGNAL) != octets) die("cannot log in");
    if (recv(session->fd, answer, sizeof answer - 1, 0) != 3 || strcmp(answer, "+\r\n")) die("cannot log in");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, session->fd, &event) < 0) die("cannot poll");
}

static int by_value(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return a < b ? -1 : a > b;
}

static double quantile_us(struct waits *of, double share) {
    if (!of->count) return 0;
    qsort(of->seconds, of->count, sizeof *of->seconds, by_value);
    return of->seconds[(size_t)(share * (double)(of->count - 1))] * 1e6;
}

static enum command command_named(const char *name) {
    for (unsigned i = 0; i < 3; i++)
        if (!strcmp(name, commencements[i])) return (enum command)i;
    die("no such command");
    return SHOW_CONNECTIONS;
}

static bool is_waiting(const struct session *sessions, int count) {
    for (int i = 0; i < count; i++)
        if (sessions[i].sent != sessions[i].answered) return true;
    return false;
}

int main(int argc, char **argv) {
    static struct session sessions[MAX_CONNECTIONS + 1];
    int option, connections = 1;
    double seconds = 5;
    bool has_probe = false;
    while ((option = getopt(argc, argv, "p:a:w:m:c:d:s:n:e:u:k")) != -1) switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'a': administrator = optarg; break;
        case 'w': password = optarg; break;
        case 'm': wanted = command_named(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 'd': depth = (unsigned)atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'n': max_commands = atol(optarg); break;
        case 'e': expected = atol(optarg); break;
        case 'u': prefix = optarg; break;
        case 'k': has_probe = true; break;
        default: die("see the head of peepbench.c");
    }
    if (connections < 1 || connections > MAX_CONNECTIONS || depth < 1 || depth > MAX_DEPTH || strlen(prefix) > 100)
        die("too many, or none");
    poller = epoll_create1(0);
    int count = connections + has_probe;
    for (int i = 0; i < count; i++) {
        sessions[i].is_probe = i == connections;
        sessions[i].command = sessions[i].is_probe ? SHOW_CONNECTIONS : wanted;
        log_in(&sessions[i]);
    }
    double began = now();
    stop_at = began + seconds;
    give_up_at = stop_at + 60;
    for (int i = 0; i < count; i++) fill(&sessions[i]);
    while (is_waiting(sessions, count)) {
        struct epoll_event events[64];
        int ready = epoll_wait(poller, events, 64, 1000);
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
        if (now() > give_up_at) die("no answer for 60 s");
    }
    double took = now() - began;
    printf("commands=%zu failed=%ld seconds=%.4f commands_per_s=%.1f octets=%ld lines=%ld p50_us=%.1f p99_us=%.1f max_us=%.1f",
           waits.count, failed, took, (double)waits.count / took, octets_in, lines_in, quantile_us(&waits, 0.5),
           quantile_us(&waits, 0.99), quantile_us(&waits, 1));
    if (has_probe)
        printf(" probe_commands=%zu probe_p99_us=%.1f probe_max_us=%.1f", probe_waits.count,
               quantile_us(&probe_waits, 0.99), quantile_us(&probe_waits, 1));
    printf("\n");
    if (failed) fprintf(stderr, "peepbench: %s\n", first_error);
    return failed ? 1 : 0;
}
