"""The `docker` command, for tests that need more of it than Compose."""

import subprocess

import pytest

from support.containers import PROJECT_FOLDER

COMMAND_SECONDS = 300
BUILD_SECONDS = 900
"""The first build fetches packages; those after it take a second."""

PAUSE_ATTEMPTS = 20

SERVICES = ("pop3-service", "peep-gateway", "state-api")


def docker(*arguments: str, content: str = "", seconds: float = COMMAND_SECONDS) -> str:
    """Run `docker` and return what it prints; fail the test if it fails."""
    done = docker_result(*arguments, content=content, seconds=seconds)
    if done.returncode != 0:
        pytest.fail(f"docker {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def docker_result(
    *arguments: str, content: str = "", seconds: float = COMMAND_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run `docker` and return how it ended; raise `subprocess.TimeoutExpired` when it does not."""
    return subprocess.run(
        ("docker", *arguments), input=content, capture_output=True, text=True, timeout=seconds, check=False
    )


def pause(container: str) -> None:
    """Stop a container's processes where they are.

    Where the machine is busy the engine may find some still running too often, lets all go on, and says so.
    """
    for _ in range(PAUSE_ATTEMPTS):
        done = docker_result("pause", container)
        if done.returncode == 0:
            return
        if "unable to freeze" not in done.stderr:
            break
    pytest.fail(f"docker pause {container}:\n{done.stdout}{done.stderr}")


def build_images(repository: str, tag: str) -> None:
    """Build the services' images as REPOSITORY/SERVICE:TAG, from the project's Dockerfile."""
    for service in SERVICES:
        name = f"--tag={repository}/{service}:{tag}"
        docker("build", "--quiet", f"--target={service}", name, str(PROJECT_FOLDER), seconds=BUILD_SECONDS)


def forget_images(repository: str, tag: str) -> None:
    """Take these names away from the images; what they are made of stays for the next build."""
    for service in SERVICES:
        docker_result("rmi", "--no-prune", f"{repository}/{service}:{tag}")
