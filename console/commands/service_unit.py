"""The verb `service`: prints a systemd unit that runs the engine of a home. It installs nothing."""

import argparse
import getpass
import shlex
import sys
from pathlib import Path

from console.cli import EXIT_DONE
from console.commands.answers import tell
from engine import api

UNIT = """\
# Save as /etc/systemd/system/{name}.service, then:
#   systemctl daemon-reload && systemctl enable --now {name}
# `navdeck --home {home}` attaches to it; `systemctl reload {name}` has it read navdeck.toml again.

[Unit]
Description=navdeck engine of {home}
StartLimitIntervalSec=600
StartLimitBurst=10

[Service]
Type=notify
User={user}
ExecStart={command} --daemon --home {quoted}
ExecReload=kill -HUP $MAINPID
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2 4
TimeoutStartSec=infinity
TimeoutStopSec=30
WatchdogSec=60
KillMode=mixed

# As much memory as the home's memory.* settings are measured against.
MemoryMax=80%
TasksMax=256
UMask=0077

NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={paths}
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
CapabilityBoundingSet=
AmbientCapabilities=
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""


def unit(home: Path, user: str, command: str, name: str = "navdeck") -> str:
    """The unit's text. `command`: what starts navdeck, quoted for systemd."""
    quoted = _quoted(str(home))
    return UNIT.format(
        home=str(home).replace("%", "%%"), user=user, command=command, name=name, quoted=quoted, paths=quoted
    )


def _quoted(word: str) -> str:
    """A word as systemd reads it: `%` and `$` mean nothing, blanks do not split it."""
    safe = word.replace("%", "%%").replace("$", "$$")
    return safe if shlex.quote(safe) == safe else '"' + safe.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _command() -> str:
    """The navdeck that was called, or this Python with the same program."""
    script = Path(sys.executable).with_name("navdeck")
    return _quoted(str(script)) if script.exists() else f"{_quoted(sys.executable)} -m console.cli"


def _service(arguments: argparse.Namespace) -> int:
    home = api.home_path(arguments.home)
    text = unit(home, getpass.getuser(), _command())
    tell({"home": str(home), "unit": text}, arguments, _print)
    return EXIT_DONE


def _print(told: dict[str, str]) -> None:
    sys.stdout.write(told["unit"])


VERBS = {"service": _service}
