#!/usr/bin/env python3
"""Fill a folder with Maildirs of lifelike mail, the same on every run.

    make_maildirs.py ROOT [--users 400] [--messages 20] [--seed 1]

Each ROOT/uNNNN is a Maildir as an MTA leaves it: LF line ends, standard unique names, two messages in three
already seen. Mostly short text, some HTML, a few attachments; one line in a thousand begins with a dot.
"""

import argparse
import base64
import os
import random

TEXT = """
the of and to in a is that for it as was with be by on not he his but at are this have from
which one had an were been their has would when who will more no if out so said what up its
about into than them can only other new some could time these two may then do first any my now
"""
WORDS = TEXT.split()


def text(rng: random.Random, octets: int) -> bytes:
    """Return lines of words, about so many octets."""
    lines: list[str] = []
    length = 0
    while length < octets:
        line = " ".join(rng.choice(WORDS) for _ in range(rng.randint(6, 15)))
        if rng.random() < 0.001:
            line = "." + line
        elif rng.random() < 0.08:
            line = ""
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines).encode() + b"\n"


def message(rng: random.Random, user: str, number: int) -> bytes:
    """Return a message: seven in ten are short text, two in ten HTML, one in ten has an attachment."""
    head = (
        f"Return-Path: <sender{number}@example.org>\n"
        f"Received: from mx.example.org (mx.example.org [192.0.2.{number % 250}])\n"
        f"\tby mail.example.com with ESMTPS id {rng.getrandbits(48):012X};\n"
        f"\tMon, 02 Mar 2026 10:{number % 60:02d}:00 +0000\n"
        f"From: Sender {number} <sender{number}@example.org>\n"
        f"To: {user}@example.com\nSubject: message {number} for {user}\n"
        f"Message-ID: <{rng.getrandbits(64):016x}@example.org>\nMIME-Version: 1.0\n"
    ).encode()
    kind = rng.random()
    if kind < 0.70:
        return head + b"Content-Type: text/plain; charset=utf-8\n\n" + text(rng, rng.randint(400, 6000))
    if kind < 0.90:
        return head + b"Content-Type: text/html; charset=utf-8\n\n" + text(rng, rng.randint(8000, 60000))
    attachment = base64.encodebytes(rng.randbytes(rng.choice((45_000, 112_500, 300_000))))
    return (
        head
        + b'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\n'
        + text(rng, 800)
        + b"--b\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
        + attachment
        + b"--b--\n"
    )


def fill(root: str, users: int, messages: int, seed: int) -> int:
    """Write the Maildirs; return the octets of all messages as POP3 counts them."""
    octets = 0
    for index in range(users):
        user = f"u{index:04d}"
        for folder in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(root, user, folder), exist_ok=True)
        rng = random.Random(f"{seed}/{index}")
        for number in range(messages):
            content = message(rng, user, number)
            name = f"{1_700_000_000 + number}.M{number}P{index + 1000}.mx1"
            place = ("new", name) if number % 3 == 2 else ("cur", name + ":2,S")
            with open(os.path.join(root, user, *place), "wb") as file:
                file.write(content)
            octets += len(content) + content.count(b"\n")
    return octets


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Fill a folder with Maildirs of lifelike mail.")
    parser.add_argument("root")
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--messages", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    octets = fill(given.root, given.users, given.messages, given.seed)
    print(f"{given.users * given.messages} messages, {octets} octets")


if __name__ == "__main__":
    main()
