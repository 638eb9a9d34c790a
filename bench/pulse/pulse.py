"""Draws what tair-pulse sees of a switchover and of a kill, of a pair of Tanist and of Redis with Sentinel, each behind HAProxy.

    python3 pulse.py TANIST FOLDER

writes FOLDER/pulse-tanist.png and FOLDER/pulse-redis.png. TANIST is the program. Needs tair-pulse and kaleido (PyPI), redis-server,
redis-cli and haproxy. All that is started here is stopped here.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

SWITCHOVER_S, KILL_S, END_S = 5, 12, 20
# Of tair-pulse, which reads and writes one after the other.
KEYS = 16_384
# As docs/balancers.md has it.
HAPROXY = """
defaults
    mode tcp
    timeout connect 200ms
    timeout check 1s
    timeout client 24h
    timeout server 24h
listen both
    bind 127.0.0.1:{port}
    balance leastconn
    retries 2
    option redispatch 1
    option tcp-check
    tcp-check send "INFO replication\\r\\nQUIT\\r\\n"
    tcp-check expect string role:master
    default-server check inter 1s downinter 200ms fall {fall} rise 1
    default-server on-marked-down shutdown-sessions
    server a 127.0.0.1:{a}
    server b 127.0.0.1:{b}
"""


def probe(port, title, path):
    """Runs tair-pulse until it is interrupted, and stores its picture."""
    sys.argv = ["tair-pulse", "--port", port]
    import plotly_resampler
    from tair_pulse import main as pulse

    pulse.FigureResampler = plotly_resampler.FigureResampler

    def store(figure, **_):
        figure.update_layout(title=title, width=1000, height=700)
        figure.write_image(path)

    plotly_resampler.FigureResampler.show_dash = store
    plotly_resampler.FigureResampler.write_html = lambda *_, **__: None
    pulse.main()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def cli(port, *words):
    said = subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True, check=False)
    return said.stdout.strip()


def until(what, is_so):
    for _ in range(300):
        if is_so():
            return
        time.sleep(0.1)
    raise SystemExit(f"no sign yet that {what}")


class Started:
    """Processes that end with this."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []

    def start(self, *command):
        process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait()


class Tanist:
    title = "Tanist: switchover, then kill -9 of the primary"
    fall = 3

    def __init__(self, started, program):
        base, self.program, self.data = free_ports(1)[0] % 20_000 + 10_000, program, f"{started.folder}/data"
        self.ports = [base, base + 1]
        started.start(program, "up", "--data", self.data, "--port", str(base))
        until("the pair serves", lambda: self.node("standby") and cli(base, "PING") == "PONG")

    def node(self, role):
        said = subprocess.run([self.program, "status", "--json", "--data", self.data], capture_output=True, check=False)
        nodes = json.loads(said.stdout or "{}").get("nodes", [])
        return next((node for node in nodes if node["role"] == role and node["reachable"]), None)

    def switch_over(self):
        subprocess.run([self.program, "switchover", "--data", self.data], check=True, capture_output=True)

    def kill(self):
        os.kill(self.node("primary")["pid"], signal.SIGKILL)


class Redis:
    title = "Redis 7 with Sentinel: failover, then kill -9 of the master"
    fall = 1

    def __init__(self, started, _):
        self.started = started
        *self.ports, self.sentinel = free_ports(3)
        self.processes = {}
        for port, replica_of in [(self.ports[0], []), (self.ports[1], ["--replicaof", "127.0.0.1", str(self.ports[0])])]:
            self.processes[port] = started.start("redis-server", "--port", str(port), "--save", "", *replica_of)
        until("the replica follows", lambda: "master_link_status:up" in cli(self.ports[1], "INFO", "replication"))
        file = pathlib.Path(started.folder, "sentinel.conf")
        file.write_text(
            f"port {self.sentinel}\nsentinel monitor mymaster 127.0.0.1 {self.ports[0]} 1\n"
            "sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 3000\n"
        )
        started.start("redis-server", str(file), "--sentinel")
        until("Sentinel knows the replica", lambda: "slaves=1" in cli(self.sentinel, "INFO"))

    def switch_over(self):
        cli(self.sentinel, "SENTINEL", "FAILOVER", "mymaster")

    def kill(self):
        master = next(port for port in self.ports if "role:master" in cli(port, "INFO", "replication"))
        self.processes[master].kill()


def draw(system, program, path):
    with tempfile.TemporaryDirectory() as folder:
        started = Started(folder)
        try:
            servers = system(started, program)
            port = free_ports(1)[0]
            a, b = servers.ports
            configuration = pathlib.Path(folder, "haproxy.cfg")
            configuration.write_text(HAPROXY.format(port=port, a=a, b=b, fall=system.fall))
            started.start("haproxy", "-db", "-f", str(configuration))
            until("HAProxy serves", lambda: all(cli(port, "SET", "k", "v") == "OK" for _ in range(20)))
            watch = subprocess.Popen([sys.executable, __file__, "--probe", str(port), system.title, path])
            until("tair-pulse has its keys", lambda: int(cli(port, "DBSIZE") or 0) > KEYS)
            time.sleep(1)
            begun = time.monotonic()
            for at, act in [(SWITCHOVER_S, servers.switch_over), (KILL_S, servers.kill), (END_S, lambda: None)]:
                time.sleep(max(0.0, begun + at - time.monotonic()))
                act()
            watch.send_signal(signal.SIGINT)
            watch.wait()
        finally:
            started.stop()


def main():
    if sys.argv[1] == "--probe":
        return probe(*sys.argv[2:])
    program, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    for system, name in [(Tanist, "pulse-tanist.png"), (Redis, "pulse-redis.png")]:
        draw(system, program, os.path.abspath(os.path.join(folder, name)))


main()
