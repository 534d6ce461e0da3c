/*
 * canned: answers POP3 commands from memory, whatever was asked for. One thread, epoll, no state.
 *
 * Build:  cc -O2 -o canned canned.c
 * Usage:  canned MESSAGES OCTETS     listens on a free port of 127.0.0.1, and prints it
 *
 * Every maildrop has MESSAGES messages of OCTETS octets. It is the floor of the measurements: what the
 * sockets and the load generator cost, with no server's work in it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define OWED 1024 /* replies that one client may be owed; a power of two */
#define GATHER 64 /* replies that go out in one call */

struct reply { char *text; size_t length; };

struct client {
    int fd;
    uint8_t owed[OWED]; /* the keys of the commands that are to be answered */
    unsigned head, count;
    size_t sent;        /* octets of the first reply that have gone out */
    unsigned column;    /* octets of the present line that have come */
    uint8_t first;      /* its first letter */
    bool is_watched_for_room;
};

static struct reply replies[256]; /* by the first two letters, XORed: no two kinds of reply have one in common */
static int poll_fd;

static void set_reply(uint8_t key, char *text, size_t length) { replies[key] = (struct reply){text, length}; }

static void make_replies(int messages, int octets) {
    char *text = malloc(64), *listing = malloc(32 + 40 * (size_t)messages), *message = malloc((size_t)octets + 64);
    for (int key = 0; key < 256; key++) set_reply(key, "+OK\r\n", 5);
    set_reply('S' ^ 'T', text, sprintf(text, "+OK %d %lld\r\n", messages, (long long)messages * octets));
    size_t length = sprintf(listing, "+OK\r\n");
    for (int n = 1; n <= messages; n++) length += sprintf(listing + length, "%d 1700000000.M%dP1000.mx1\r\n", n, n);
    length += sprintf(listing + length, ".\r\n");
    set_reply('U' ^ 'I', listing, length);
    set_reply('L' ^ 'I', listing, length);
    length = sprintf(message, "+OK %d octets\r\n", octets);
    memset(message + length, 'x', octets);
    for (int n = 78; n + 1 < octets; n += 80) memcpy(message + length + n, "\r\n", 2);
    length += octets;
    length += sprintf(message + length, "\r\n.\r\n");
    set_reply('R' ^ 'E', message, length);
}

static void forget(struct client *c) {
    close(c->fd);
    free(c);
}

static void watch_for_room(struct client *c, bool is_wanted) {
    if (c->is_watched_for_room == is_wanted) return;
    c->is_watched_for_room = is_wanted;
    struct epoll_event event = {.events = EPOLLIN | (is_wanted ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

/* Strike out what has gone; tell whether the reply to QUIT was among it. */
static bool sent_last(struct client *c, size_t octets) {
    c->sent += octets;
    while (c->count && c->sent >= replies[c->owed[c->head]].length) {
        c->sent -= replies[c->owed[c->head]].length;
        if (c->owed[c->head] == ('Q' ^ 'U')) return true;
        c->head = (c->head + 1) % OWED;
        c->count--;
    }
    return false;
}

static void send_owed(struct client *c) {
    while (c->count) {
        struct iovec parts[GATHER];
        unsigned n = 0;
        for (; n < c->count && n < GATHER; n++) {
            struct reply *reply = &replies[c->owed[(c->head + n) % OWED]];
            parts[n] = (struct iovec){reply->text, reply->length};
        }
        parts[0].iov_base = (char *)parts[0].iov_base + c->sent;
        parts[0].iov_len -= c->sent;
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = n};
        ssize_t octets = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (octets < 0) {
            if (errno == EAGAIN) watch_for_room(c, true);
            else forget(c);
            return;
        }
        if (sent_last(c, octets)) { forget(c); return; }
    }
    watch_for_room(c, false);
}

static void read_commands(struct client *c) {
    char buffer[16384];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { forget(c); return; }
    for (ssize_t i = 0; i < n; i++) {
        if (c->column == 0) c->first = buffer[i];
        if (c->column == 1 && c->count < OWED) c->owed[(c->head + c->count++) % OWED] = c->first ^ buffer[i];
        c->column = buffer[i] == '\n' ? 0 : c->column + 1;
    }
    send_owed(c);
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct client *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->owed[c->count++] = 0; /* the greeting */
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
        send_owed(c);
    }
}

static int listen_anywhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 4096) < 0) { perror("canned"); exit(2); }
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    make_replies(atoi(argv[1]), atoi(argv[2]));
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_anywhere();
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(poll_fd, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (!c) accept_all(listener);
            else if (events[i].events & EPOLLIN) read_commands(c);
            else send_owed(c);
        }
    }
}
