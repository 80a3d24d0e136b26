"""Makes a virtual environment that holds exactly what the lock files say, or does nothing when it does already.

Called by the Makefile only, with whatever `python3` the machine has. It must therefore start on an old Python
(to say so in a sentence) and needs nothing but the standard library. Every file that pip takes is checked
against a hash; source archives are refused, because building one would run code that no hash covers.

    python3 requirements/install.py [--chosen] [--project] VENV SET...

SET names a lock file beside this one. `--project` installs qlaud itself too, editable. `--chosen` says that the
caller picked this Python on purpose: an environment made with another one is then made anew.
"""

import hashlib
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(HERE)
LOWEST = (3, 11)
VERSION = "import pip, sys; print('%d %d' % sys.version_info[:2])"
TOO_OLD = "qlaud needs Python %d.%d or newer, and %s is %d.%d; name another one: make PYTHON=python3.12 ..."
NO_VENV = "this Python cannot make virtual environments; on Debian or Ubuntu: apt-get install python3-venv"


def main(arguments):
    """The exit status: 0 when the environment is as asked for."""
    words = [word for word in arguments if not word.startswith("--")]
    venv, sets = os.path.join(PROJECT, words[0]), words[1:]
    with_project = "--project" in arguments
    python = os.path.join(venv, "bin", "python")
    if not is_usable(python, "--chosen" in arguments):
        trouble = make(venv)
        if trouble:
            sys.stderr.write(trouble + "\n")
            return 1
    files = [os.path.join(HERE, name + ".txt") for name in sets]
    stamp = os.path.join(venv, ".installed-" + "-".join(sets))
    wanted = checksum([*files, os.path.join(PROJECT, "pyproject.toml")] if with_project else files)
    if read(stamp) == wanted:
        return 0
    print("installing " + ", ".join(sets) + " into " + words[0], flush=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    commands = [[*pip, "--require-hashes", "--only-binary", ":all:"]]
    for file in files:
        commands[0] += ["-r", file]
    if with_project:
        commands.append([*pip, "--no-deps", "--no-build-isolation", "--editable", PROJECT])
    for command in commands:
        status = subprocess.call(command)
        if status:
            return status
    with open(stamp, "w") as file:
        file.write(wanted)
    return 0


def is_usable(python, chosen):
    """Whether the environment's own Python runs, is new enough and, if `chosen`, is of this very version."""
    try:
        output = subprocess.check_output([python, "-c", VERSION])
    except (OSError, subprocess.CalledProcessError):
        return False
    version = tuple(int(part) for part in output.split())
    return version >= LOWEST and not (chosen and version != sys.version_info[:2])


def make(venv):
    """Make the environment anew; returns the sentence that says what is missing, or an empty one."""
    if sys.version_info < LOWEST:
        return TOO_OLD % (*LOWEST, sys.executable, *sys.version_info[:2])
    try:
        import ensurepip  # noqa: F401, PLC0415  (Debian ships Python without it)
        import venv as module  # noqa: PLC0415
    except ImportError:
        return NO_VENV
    try:
        module.create(venv, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return "%s could not be made: %s" % (venv, error)
    return ""


def checksum(files):
    """One digest over the files' bytes."""
    digest = hashlib.sha256()
    for name in files:
        with open(name, "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()


def read(name):
    """The file's text, or an empty one if there is no file."""
    try:
        with open(name) as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
