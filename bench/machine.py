"""What the figures were measured on: figures without their machine mean nothing."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("qlaud", "uvloop", "asyncpg", "fastapi", "uvicorn", "httpx")


def parse_cpu_model(cpuinfo: str) -> str:
    """The first model name in `/proc/cpuinfo`."""
    for line in cpuinfo.splitlines():
        name, _, text = line.partition(":")
        if name.strip() == "model name":
            return text.strip()
    return "unknown"


def describe() -> dict[str, str]:
    """Names to facts, in the order they are printed."""
    facts = {
        "CPU": f"{parse_cpu_model(Path('/proc/cpuinfo').read_text())}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    facts["nginx"] = _nginx_version()
    return {name: text for name, text in facts.items() if text}


def _nginx_version() -> str:
    nginx = shutil.which("nginx")
    if nginx is None:
        return ""
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, timeout=10, check=False).stderr
    return said.rpartition("/")[2].strip()
