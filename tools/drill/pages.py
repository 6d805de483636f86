# SPDX-License-Identifier: Apache-2.0
"""An answer is read whole, within a time and a size, or not at all: a part of
a page shows less than there is."""

import http.client
import math
import time

PART = 65536
ANSWER_MOST = 4 * 1024 * 1024


class TooLong(OSError):
    """There is more of it than is read."""


def read_whole(answer, most=ANSWER_MOST, until=math.inf):
    """The bytes of an http.client answer. TooLong, TimeoutError when it is
    later than until, or IncompleteRead when it broke off. The time is looked
    at between reads: how long one of them waits is up to the socket."""
    data = b""
    while part := answer.read1(PART):
        data += part
        if len(data) > most:
            raise TooLong(f"is longer than {most} bytes")
        if time.monotonic() > until:
            raise TimeoutError
    if answer.length:
        raise http.client.IncompleteRead(data, answer.length)
    return data
