"""Commands and replies in words, for people who do not know the codes by heart."""

from __future__ import annotations

from collections.abc import Iterable

from peep_client import Capabilities, Reply
from peep_client.protocol.commands import KNOWN, KnownCommand
from peep_client.protocol.errors import MEANINGS, meaning
from peepctl.output import amount, duration


def reply_in_words(commencement: str, reply: Reply, capabilities: Capabilities | None = None) -> str:
    """Return what a reply means, in a few words."""
    command = KNOWN.get(commencement)
    if reply.code is not None:
        return _refusal(command, reply.code, capabilities)
    if command is None:
        return "yes"
    if commencement == "t?":
        return "no timeout" if reply.text == "0" else f"seconds{_span(reply.text)}"
    if commencement == "rb?" and reply.text.isdecimal():
        return f"octets ({amount(int(reply.text))})"
    if commencement == "q":
        return "the session is over"
    return command.answer or ("" if reply.text else "done")


def help_lines(capabilities: Capabilities | None, topic: str = "") -> list[str]:
    """Return what there is to type, or what there is to know of one command or code."""
    if topic:
        return _topic(capabilities, topic)
    known = [command for command in KNOWN.values() if _is_there(command, capabilities)]
    return [
        *_columns((command.syntax, command.summary) for command in known),
        "",
        *_columns(
            [
                ("help COMMAND", "more about one command, or about a code as -4"),
                ("exit", "the same as q, and as Ctrl-D"),
            ]
        ),
        "",
        "A reply with + is yes, one with - and a number is no. TAB completes, up and down go through what",
        "was typed before; lines with a password are not kept in the history file.",
    ]


def syntax_of(line: str, capabilities: Capabilities | None) -> str:
    """Return the syntax of the command that a line begins with, with the range of its integer."""
    command = KNOWN.get(line.partition(" ")[0])
    if command is None:
        return ""
    allowed = _allowed(command, capabilities)
    return f"{command.syntax}: {command.summary}" + (f", {allowed}" if allowed else "")


def _refusal(command: KnownCommand | None, code: int, capabilities: Capabilities | None) -> str:
    told = (command.codes.get(code) if command else None) or meaning(code)
    match code:
        case 0:
            return f"{told}; help lists the commands"
        case 1 if command is not None:
            return f"{told}; it is {command.syntax}"
        case 5 | 7 if command is not None and (allowed := _allowed(command, capabilities)):
            return f"{told}; {allowed} is taken"
        case 8:
            return f"{told}; try again in a moment"
    return told


def _allowed(command: KnownCommand, capabilities: Capabilities | None) -> str:
    allowed = capabilities.integers.get(command.commencement) if capabilities else None
    return f"{allowed[0]} to {allowed[-1]}" if allowed else ""


def _topic(capabilities: Capabilities | None, topic: str) -> list[str]:
    if topic.startswith("-") and topic[1:].isdecimal():
        return [f"{topic}: {meaning(int(topic[1:]))}"]
    command = KNOWN.get(topic)
    if command is None:
        return [f"{topic} is no command that peepctl knows; help lists those"]
    lines = [syntax_of(topic, capabilities)]
    if command.is_extension:
        there = "" if _is_there(command, capabilities) else ", which this server does not have"
        lines.append(f"It is an extension{there}.")
    lines += [f"-{code}: {words}" for code, words in command.codes.items()]
    lines += [f"-{code}: {MEANINGS[code]}" for code in (0, 1, 8)]
    return lines


def _is_there(command: KnownCommand, capabilities: Capabilities | None) -> bool:
    return not command.is_extension or (
        capabilities is not None and command.commencement in capabilities.extensions
    )


def _columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [f"  {left:28}  {right}" for left, right in rows]


def _span(text: str) -> str:
    return f" ({duration(int(text))})" if text.isdecimal() and int(text) >= 60 else ""
