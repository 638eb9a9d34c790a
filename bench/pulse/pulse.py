"""What tair-pulse, a client by others, sees of a switchover and of a kill: of a pair of Tanist, and of Redis with three Sentinels.

    python3 pulse.py TANIST PICTURE

TANIST is the program; PICTURE is the file (.png or .svg) to draw. Needs what requirements.txt names, redis-server, redis-cli and
haproxy. All that is started here is stopped here.

tair-pulse has one connection to one address and knows nothing of either system, so both stand behind HAProxy, configured as
docs/balancers.md says. It increments keys one after the other and knows the value that each reply must have.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

# Sentinel makes the old master a replica eight seconds after it has found it to be a master still.
SWITCHOVER_S, KILL_S, END_S = 5, 20, 30
# Of tair-pulse, which sets them before it measures.
KEYS = 16_384
# A lost master is failed over one second after its last reply; Sentinel's own default is 30.
DOWN_AFTER_MS = 1_000
SENTINELS = 3
COLUMN_S = 0.02
# A time without a reply that is marked.
VISIBLE_S = 0.1
BALANCERS = pathlib.Path(__file__).parents[2] / "docs" / "balancers.md"

LOST = "acknowledged writes are gone"
EXECUTED = "a write that got an error was executed"


def probe(port, path):
    """Runs tair-pulse until it is interrupted, and stores what it has seen."""
    sys.argv = ["tair-pulse", "--port", port]
    from tair_pulse import main as pulse

    replies, errors, differing = [], [], {LOST: set(), EXECUTED: set()}

    class Watched:
        """Its client, with the moment of each reply and error."""

        def __init__(self, client):
            self.client = client

        def incr(self, key):
            begun = time.time()
            try:
                reply = self.client.incr(key)
            except Exception as error:
                errors.append((time.time(), str(error)))
                raise
            replies.append((begun, time.time()))
            return reply

        def __getattr__(self, name):
            return getattr(self.client, name)

    class Errors(dict):
        """tair-pulse's errors: each key that has not the expected value is one of its own, and says so again in each turn."""

        def __setitem__(self, text, value):
            if found := re.fullmatch(r"data error: key:(\S+) diff:(-?)\d+", text):
                differing[LOST if found[2] else EXECUTED].add(found[1])
            super().__setitem__(text, value)

    create = pulse.create_client
    pulse.create_client = lambda *options: Watched(create(*options))
    pulse.error_dict = Errors()
    signal.signal(signal.SIGINT, pulse.signal_handler)
    pulse.init_database()
    pulse.run_write_cmd()
    differing = {meaning: len(keys) for meaning, keys in differing.items()}
    pathlib.Path(path).write_text(json.dumps({"replies": replies, "errors": errors, "differing": differing}))


def free_ports(count):
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


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
    """Processes that end with this, and their folder."""

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
    title = "Tanist: a pair and its vault"
    events = ["switchover", "kill -9 of the primary"]
    refuses = False

    def __init__(self, started, program):
        # Three ports in a row.
        base = free_ports(1)[0] % 20_000 + 10_000
        self.program, self.data, self.ports = program, f"{started.folder}/data", [base, base + 1]
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
    title = "Redis 7.0: a master, a replica and three Sentinels (down-after 1 s)"
    events = ["SENTINEL FAILOVER", "kill -9 of the master"]
    # HAProxy's check for servers of which only one serves clients.
    refuses = True

    def __init__(self, started, _):
        *self.ports, self.sentinel, _, _ = ports = free_ports(2 + SENTINELS)
        master, replica = self.ports
        self.processes = {
            master: started.start("redis-server", "--port", str(master), "--save", ""),
            replica: started.start(
                "redis-server", "--port", str(replica), "--save", "", "--replicaof", "127.0.0.1", str(master)
            ),
        }
        until("the replica follows", lambda: "master_link_status:up" in cli(replica, "INFO", "replication"))
        for port in ports[2:]:
            file = pathlib.Path(started.folder, f"sentinel-{port}.conf")
            file.write_text(
                f"port {port}\nsentinel monitor mymaster 127.0.0.1 {master} {SENTINELS // 2 + 1}\n"
                f"sentinel down-after-milliseconds mymaster {DOWN_AFTER_MS}\nsentinel failover-timeout mymaster 3000\n"
            )
            started.start("redis-server", str(file), "--sentinel")
        known = f"slaves=1,sentinels={SENTINELS}"
        until("the Sentinels know each other", lambda: all(known in cli(port, "INFO", "sentinel") for port in ports[2:]))

    def switch_over(self):
        cli(self.sentinel, "SENTINEL", "FAILOVER", "mymaster")

    def kill(self):
        _, master = cli(self.sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster").split()
        self.processes[int(master)].kill()


def haproxy(port, servers):
    """The configuration of docs/balancers.md for these servers."""
    blocks = re.findall(r"```text\n(.*?)```", BALANCERS.read_text(), re.DOTALL)
    text = next(block for block in blocks if block.startswith("defaults\n"))
    only_primary = next(block for block in blocks if block.startswith("    default-server check"))
    text = text.replace("bind :6379", f"bind 127.0.0.1:{port}")
    for theirs, ours in zip(["10.0.0.1:6379", "10.0.0.2:6379"], servers.ports, strict=True):
        text = text.replace(theirs, f"127.0.0.1:{ours}")
    return re.sub(r"    default-server check .*\n", only_primary, text) if servers.refuses else text


def measure(system, program):
    """What tair-pulse has seen of `system`, in seconds since the measurement began."""
    with tempfile.TemporaryDirectory() as folder:
        started = Started(folder)
        try:
            servers, port = system(started, program), free_ports(1)[0]
            configuration, seen = pathlib.Path(folder, "haproxy.cfg"), pathlib.Path(folder, "seen.json")
            configuration.write_text(haproxy(port, servers))
            started.start("haproxy", "-db", "-f", str(configuration))
            until("HAProxy serves", lambda: all(cli(port, "SET", "k", "v") == "OK" for _ in range(20)))
            watch = subprocess.Popen([sys.executable, __file__, "--probe", str(port), str(seen)])
            until("tair-pulse has its keys", lambda: int(cli(port, "DBSIZE") or 0) > KEYS)
            time.sleep(1)
            begun = time.time()
            for at, act in [(SWITCHOVER_S, servers.switch_over), (KILL_S, servers.kill), (END_S, lambda: None)]:
                time.sleep(max(0.0, begun + at - time.time()))
                act()
            watch.send_signal(signal.SIGINT)
            watch.wait()
            seen = json.loads(seen.read_text())
        finally:
            started.stop()
    seen["replies"] = [(start - begun, end - begun) for start, end in seen["replies"]]
    seen["errors"] = [(at - begun, text) for at, text in seen["errors"]]
    return seen


def verdict(seen, begin, end):
    """Where the longest time without a reply begins, its length, and the number of errors, between two moments."""
    ends = [at for _, at in seen["replies"] if begin <= at < end]
    gap, at = max((after - before, before) for before, after in zip(ends, ends[1:]))
    return at, gap, sum(begin <= at < end for at, _ in seen["errors"])


def draw(measured, path):
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    titles = [f"<b>{system.title}</b>" for system, _ in measured]
    figure = make_subplots(rows=len(measured), cols=1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.13)
    for row, (system, seen) in enumerate(measured, start=1):
        columns = {}
        for start, end in seen["replies"]:
            column = int(start // COLUMN_S)
            columns[column] = max(columns.get(column, 0.0), (end - start) * 1000)
        # A column without a reply is a break of the line.
        whole = range(0, int(END_S / COLUMN_S))
        line = go.Scatter(
            x=[round(column * COLUMN_S, 2) for column in whole],
            y=[round(columns[column], 2) if column in columns else None for column in whole],
            mode="lines", line={"width": 1, "color": "#0969da"}, name="longest latency in 20 ms", showlegend=row == 1,
        )
        figure.add_trace(line, row=row, col=1)
        # One mark for all of a column.
        errors = sorted({round(at // COLUMN_S * COLUMN_S, 2) for at, _ in seen["errors"] if 0 <= at < END_S})
        marks = go.Scatter(
            x=errors, y=[0.045] * len(errors), mode="markers", name="error", showlegend=row == 1,
            marker={"symbol": "x", "size": 7, "color": "#cf222e"},
        )
        figure.add_trace(marks, row=row, col=1)
        for words, begin, end in zip(system.events, [SWITCHOVER_S, KILL_S], [KILL_S, END_S], strict=True):
            at, gap, errors = verdict(seen, begin - 0.5, end - 0.5)
            length = f"{gap * 1000:.0f} ms" if gap < 1 else f"{gap:.1f} s"
            said = f"{length} without a reply, {errors} error{'' if errors == 1 else 's'}"
            print(f"{system.title}: {words}: {said}, from second {at:.2f} on")
            if gap >= VISIBLE_S:
                figure.add_vrect(x0=at, x1=at + gap, fillcolor="#cf222e", opacity=0.25, line_width=0, row=row, col=1)
            figure.add_vline(x=begin, line={"color": "#57606a", "dash": "dot", "width": 1.5}, row=row, col=1)
            figure.add_annotation(
                x=begin, y=4.15, xanchor="left", yanchor="top", showarrow=False, align="left", xshift=6, row=row, col=1,
                text=f"<b>{words}</b><br>{said}", bgcolor="rgba(255,255,255,0.85)", font={"size": 14, "color": "#cf222e"},
            )
        counts = [f"{keys} of {KEYS} keys: {meaning}" for meaning, keys in seen["differing"].items() if keys]
        values = "; ".join(counts) or "every value as expected"
        print(f"{system.title}: {values}; errors: {sorted({text for _, text in seen['errors']})}")
        figure.layout.annotations[row - 1].text += f"<br>{values}"
    ticks = [0.1, 1, 10, 100, 1000]
    figure.update_yaxes(type="log", range=[-1.6, 4.2], tickvals=ticks, title="latency, ms", gridcolor="#d8dee4")
    figure.update_xaxes(range=[0, END_S], dtick=5, gridcolor="#eef1f4")
    figure.update_xaxes(title="seconds", row=len(measured), col=1)
    figure.update_layout(
        title={"text": "<b>A switchover at 5 s and a kill at 20 s, as tair-pulse sees them through HAProxy</b>", "x": 0.01},
        width=1000, height=700, template="plotly_white", margin={"l": 70, "r": 20, "t": 100, "b": 60},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": -0.06, "yanchor": "top"},
    )
    figure.write_image(path)


def main():
    if sys.argv[1:2] == ["--probe"]:
        return probe(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tanist", type=os.path.abspath)
    parser.add_argument("picture")
    options = parser.parse_args()
    draw([(system, measure(system, options.tanist)) for system in [Tanist, Redis]], options.picture)


main()
