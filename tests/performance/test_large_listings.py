"""What LIST and UIDL of a large maildrop cost: time that grows with the number of messages alone."""

import time

from pop3_service.protocol.maildrop import MaildropContents, Message

MESSAGES = 50_000


def test_listings_of_fifty_thousand_messages_render_quickly() -> None:
    unique_ids = [b"id%d" % number for number in range(MESSAGES)]
    messages = [Message(unique_id, 1000, None) for unique_id in unique_ids]
    contents = MaildropContents(messages, [1000] * MESSAGES, unique_ids)
    start = time.process_time()
    lines = contents.scan_listing.count(b"\r\n") + contents.unique_id_listing.count(b"\r\n")
    assert lines == 2 * (MESSAGES + 2)
    # Some 20 ms on a small machine; the bound is for a slow one under a profiler.
    assert time.process_time() - start < 0.5
