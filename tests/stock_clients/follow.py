"""redis-py under changes of the primary: python3 follow.py PORT LIST, until its input ends.

Appends 0, 1, 2, ... to the list, reads it now and then, and prints one line of JSON: which numbers were acknowledged, which were not
(refused, or unknown), the errors by their text, and the longest time between two acknowledgements.
"""

import json
import sys
import threading
import time

import redis


def main():
    port, key = int(sys.argv[1]), sys.argv[2]
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    client = redis.Redis(port=port, retry=None, socket_timeout=30)
    acknowledged, refused, unknown, errors = [], [], [], {}
    gap, last = 0.0, time.monotonic()
    number = 0
    while not ended.is_set():
        try:
            client.rpush(key, number)
            acknowledged.append(number)
            gap, last = max(gap, time.monotonic() - last), time.monotonic()
            if number % 16 == 0:
                assert client.lindex(key, -1) == str(number).encode()
        except redis.RedisError as error:
            text = str(error)
            errors[text] = errors.get(text, 0) + 1
            (refused if "(not executed)" in text else unknown).append(number)
            time.sleep(0.005)
        number += 1
    print(json.dumps({
        "acknowledged": acknowledged,
        "refused": refused,
        "unknown": unknown,
        "errors": errors,
        "longest_gap_ms": gap * 1000,
    }))


main()
