"""The contenders: how each is started, what it needs, which of its processes count as what.

All listen on loopback with one process or one worker, pinned to a core of their own, and forward to the same
fake provider. The database of the gateway runs on the other core and is accounted apart.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from bench import proc
from bench.processes import Cores, NotReady, call, end_process, free_port, start, stop, wait_ready

KEYS = 20
KEY_CAP_USD = 100_000
NAMES = ("direct", "nginx", "qlaud", "plain")
TITLES = {
    "direct": "no proxy at all",
    "nginx": "nginx proxy_pass",
    "qlaud": "qlaud, everything on",
    "plain": "FastAPI + httpx, plain",
}

NGINX_CONF = """
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log stderr error;
{user}
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_max_body_size 64m;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  client_body_buffer_size 64k;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  upstream provider {{
    server 127.0.0.1:{upstream};
    keepalive 256;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location = /healthz {{ return 200 "ok"; }}
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""


@dataclass(slots=True)
class Contender:
    """One running contender."""

    name: str
    port: int
    keys: list[str]
    child: subprocess.Popen[str] | None = None
    database_dir: Path | None = None
    roots: dict[str, list[int]] = field(default_factory=dict)
    """Group name (`contender`, `database`) to root processes."""

    def stop(self) -> None:
        """Ends it with all it started."""
        if self.child is not None:
            stop(self.child)
        if self.database_dir is not None:
            for pid in self.roots.get("database", []):
                end_process(pid, named=str(self.database_dir))


def missing(name: str) -> str:
    """Why a contender cannot take part here, or an empty string."""
    if name == "nginx" and shutil.which("nginx") is None:
        return "nginx is not installed (Debian: apt-get install nginx-light)"
    if name == "plain" and find_spec("httpx") is None:
        return "httpx is not installed (it is a development dependency)"
    if name == "qlaud" and (find_spec("qlaud") is None or find_spec("qlaud.__main__") is None):
        return "qlaud is not installed in this environment"
    return ""


def launch(name: str, *, upstream: int, cores: Cores, home: Path) -> Contender:
    """A contender that answers. Raises NotReady; nothing of it is left running then."""
    if name == "direct":
        return Contender(name=name, port=upstream, keys=["none"])
    starters = {"nginx": _nginx, "plain": _plain, "qlaud": _qlaud}
    home = home / name
    home.mkdir()
    # The embedded database drops to another user when it is started by root: let it in.
    home.chmod(0o755)
    return starters[name](upstream, cores, home)


def _nginx(upstream: int, cores: Cores, home: Path) -> Contender:
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    conf = home / "nginx.conf"
    conf.write_text(NGINX_CONF.format(home=home, port=port, upstream=upstream, user=user))
    command = [shutil.which("nginx") or "nginx", "-p", str(home), "-e", "stderr", "-c", str(conf)]
    made = Contender(name="nginx", port=port, keys=["none"])
    return _up(made, start(command, core=cores.contender, log=home / "log"), "/healthz", home=home)


def _plain(upstream: int, cores: Cores, home: Path) -> Contender:
    port, keys = free_port(), [f"user-{number}" for number in range(KEYS)]
    command = [sys.executable, "-m", "bench.plain_proxy", str(port), str(upstream)]
    child = start(command, core=cores.contender, log=home / "log")
    assert child.stdin is not None
    child.stdin.write("\n".join(keys))
    child.stdin.close()
    return _up(Contender(name="plain", port=port, keys=keys), child, "/healthz", home=home)


def _qlaud(upstream: int, cores: Cores, home: Path) -> Contender:
    port, master, database_dir = free_port(), "qlk_live_" + secrets.token_hex(32), home / "state"
    env = {name: text for name, text in os.environ.items() if not name.startswith("QLAUD_")}
    env |= {
        "QLAUD_HOST": "127.0.0.1",
        "QLAUD_PORT": str(port),
        "QLAUD_DATA_DIR": str(database_dir),
        "QLAUD_MASTER_KEY": master,
        "ANTHROPIC_API_KEY": "bench",
        "OPENAI_API_KEY": "bench",
        "DEEPGRAM_API_KEY": "bench",
        "QLAUD_ANTHROPIC_BASE_URL": f"http://127.0.0.1:{upstream}",
        "QLAUD_OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}",
        "QLAUD_DEEPGRAM_BASE_URL": f"http://127.0.0.1:{upstream}",
    }
    child = start([sys.executable, "-m", "qlaud", "serve"], core=cores.contender, log=home / "log", env=env)
    made = Contender(name="qlaud", port=port, keys=[], database_dir=database_dir)
    try:
        _up(made, child, "/readyz", home=home)
        made.keys = [_mint(port, master, number) for number in range(KEYS)]
    finally:
        made.roots["database"] = [
            int(file.read_text().split()[0]) for file in database_dir.rglob("postmaster.pid")
        ]
        if not made.keys:
            made.stop()
    proc.pin(proc.members(made.roots)["database"], cores.rest)
    return made


def _mint(port: int, master: str, number: int) -> str:
    """A fresh key with a cap, so that every call takes the guarded path."""
    body = json.dumps({"name": f"bench {number}", "max_spend_usd": KEY_CAP_USD})
    status, answer = call(port, "POST", "/v1/keys", key=master, body=body)
    if status != 201:
        raise NotReady(f"POST /v1/keys answered {status}: {answer[:500]!r}")
    return str(json.loads(answer)["secret"])


def _up(made: Contender, child: subprocess.Popen[str], path: str, *, home: Path) -> Contender:
    made.child, made.roots = child, {"contender": [child.pid]}
    ready = False
    try:
        wait_ready(child, made.port, path, log=home / "log")
        ready = True
    finally:
        if not ready:  # NotReady, or Ctrl-C while it was starting
            made.stop()
    return made
