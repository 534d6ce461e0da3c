"""The image of HAProxy that compose.scale.yml names, where it can neither be found nor pulled."""

import subprocess

from support.containers import run_docker

IMAGE = "haproxy:2.6-bookworm"

# Debian's package on the image that our services stand on, with what the official image has besides.
STAND_IN = b"""\
FROM python:3.11-slim-bookworm
RUN apt-get update -qq \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends haproxy >/dev/null \\
    && rm -rf /var/lib/apt/lists/* \\
    && usermod --uid 99 haproxy && groupmod --gid 99 haproxy
USER haproxy
WORKDIR /var/lib/haproxy
STOPSIGNAL SIGUSR1
"""


def provide_haproxy_image() -> None:
    """See that the engine has `IMAGE`: as it is there, pulled, or made from Debian's package."""
    for ask in (("image", "inspect", IMAGE), ("pull", "--quiet", IMAGE)):
        if subprocess.run(("docker", *ask), capture_output=True, check=False).returncode == 0:
            return
    run_docker("build", "--quiet", "--tag", IMAGE, "-", octets=STAND_IN)
