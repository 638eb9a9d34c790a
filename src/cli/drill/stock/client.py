"""redis-py, executing what it is told: python3 client.py OPTIONS, until its input ends. `tanist drill` and the tests run it.

OPTIONS is JSON: `form` (address, sentinel or cluster), `nodes` (host and port of each), `name` (of the primary, for Sentinel),
`wait_ms` (for a reply). The password is in TANIST_REQUIREPASS.

The first line of output is {"version": ...}, or {"error": ...} if redis-py is not installed. Then each line of input is the words
of a command, and a line of output is {"reply": ...} or {"error": ...}. Nothing is sent again by itself: a command is executed at
most once.
"""

import json
import os
import sys


def say(what):
    print(json.dumps(what), flush=True)


try:
    import redis
    from redis.backoff import NoBackoff
    from redis.cluster import ClusterNode, RedisCluster
    from redis.retry import Retry
    from redis.sentinel import Sentinel
except ImportError as error:
    say({"error": str(error)})
    sys.exit()


def connect(form, nodes, name, wait_ms):
    options = {
        "password": os.environ.get("TANIST_REQUIREPASS") or None,
        "socket_timeout": wait_ms / 1000,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
    }
    if form == "sentinel":
        return Sentinel(nodes, sentinel_kwargs=options).master_for(name, **options)
    if form == "cluster":
        return RedisCluster(startup_nodes=[ClusterNode(*node) for node in nodes], **options)
    host, port = nodes[0]
    return redis.Redis(host, port, **options)


say({"version": redis.__version__})
client = None
for line in sys.stdin:
    try:
        client = client or connect(**json.loads(sys.argv[-1]))
        say({"reply": client.execute_command(*json.loads(line))})
    except (redis.RedisError, OSError) as error:
        say({"error": str(error) or type(error).__name__})
