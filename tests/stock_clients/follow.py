"""redis-py under changes of the primary: python3 follow.py PORTS LIST CLIENT FORM, until its input ends.

PORTS has commas; FORM is address, sentinel or cluster; CLIENT is not looked at.

Appends 0, 1, 2, ... to the list, reads it now and then, and prints one line of JSON: which numbers were acknowledged, which were not
(refused, or unknown), the errors by their text, and the longest time between two acknowledgements.
"""

import json
import sys
import threading
import time

import redis
import redis.cluster
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry


def connect(ports, form):
    """A client that sends nothing again by itself: so each number is sent once."""
    once = Retry(NoBackoff(), 0)
    if form == "sentinel":
        sentinels = redis.sentinel.Sentinel([("127.0.0.1", port) for port in ports], sentinel_kwargs={"retry": once})
        return sentinels.master_for("mymaster", socket_timeout=30, retry=once)
    if form == "cluster":
        nodes = [redis.cluster.ClusterNode("127.0.0.1", port) for port in ports]
        return redis.cluster.RedisCluster(startup_nodes=nodes, socket_timeout=30, retry=once)
    return redis.Redis(port=ports[0], socket_timeout=30, retry=once)


def main():
    ports, key, form = [int(port) for port in sys.argv[1].split(",")], sys.argv[2], sys.argv[4]
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    client = connect(ports, form)
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
