"""Commands and replies explained in words."""

from collections.abc import Iterable

from peep_client import Capabilities, Reply
from peep_client.protocol.commands import KNOWN, KnownCommand
from peep_client.protocol.errors import MEANINGS, meaning
from peepctl.output import amount, duration


def reply_in_words(commencement: str, reply: Reply, capabilities: Capabilities | None = None) -> str:
    """Return the meaning of a reply in a few words."""
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
    """Return the list of commands, or the explanation of the command or code `topic`."""
    if topic:
        return _topic(capabilities, topic)
    known = [command for command in KNOWN.values() if _is_there(command, capabilities)]
    return [
        *_columns((command.syntax, command.summary) for command in known),
        "",
        *_columns(
            [
                ("help COMMAND", "explain a command, or a code such as -4"),
                ("exit", "the same as q, and as Ctrl-D"),
            ]
        ),
        "",
        "A reply with + means yes, one with - and a number means no. TAB completes, up and down recall",
        "earlier lines; lines with a password are not kept in the history file.",
    ]


def syntax_of(line: str, capabilities: Capabilities | None) -> str:
    """Return the syntax of the command at the beginning of a line, and the range of its integer."""
    command = KNOWN.get(line.partition(" ")[0])
    if command is None:
        return ""
    allowed = _allowed(command, capabilities)
    return f"{command.syntax}: {command.summary}" + (f", {allowed}" if allowed else "")


def _refusal(command: KnownCommand | None, code: int, capabilities: Capabilities | None) -> str:
    words = (command.codes.get(code) if command else None) or meaning(code)
    match code:
        case 0:
            return f"{words}; help lists the commands"
        case 1 if command is not None:
            return f"{words}; the syntax is {command.syntax}"
        case 5 | 7 if command is not None and (allowed := _allowed(command, capabilities)):
            return f"{words}; the range is {allowed}"
        case 8:
            return f"{words}; try again in a moment"
    return words


def _allowed(command: KnownCommand, capabilities: Capabilities | None) -> str:
    allowed = capabilities.integers.get(command.commencement) if capabilities else None
    return f"{allowed[0]} to {allowed[-1]}" if allowed else ""


def _topic(capabilities: Capabilities | None, topic: str) -> list[str]:
    if topic.startswith("-") and topic[1:].isdecimal():
        return [f"{topic}: {meaning(int(topic[1:]))}"]
    command = KNOWN.get(topic)
    if command is None:
        return [f"peepctl does not know the command {topic}; help lists those it knows"]
    lines = [syntax_of(topic, capabilities)]
    if command.is_extension:
        missing = "" if _is_there(command, capabilities) else ", which this server does not have"
        lines.append(f"It is an extension{missing}.")
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
