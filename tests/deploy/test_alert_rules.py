"""Prometheus' own tool takes the alerts, and has them fire where they should and nowhere else."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from support.clients import lack

RULES = Path(__file__).parents[2] / "deploy" / "monitoring" / "alerts.yml"
INSTANCE = 'job="peep", host="mail-1", worker="1", instance_id="i1"'


@pytest.fixture(scope="module")
def promtool() -> str:
    """Give the program."""
    program = shutil.which("promtool")
    if program is None:
        lack("promtool")
    return program


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_well_formed(promtool: str) -> None:
    run(promtool, "check", "rules", str(RULES))


@pytest.mark.parametrize(
    ("alert", "fires", "series"),
    [
        ("PeepMailDiskFull", True, {"mail_disk_free_bytes": 9, "mail_disk_size_bytes": 100}),
        ("PeepMailDiskFull", False, {"mail_disk_free_bytes": 11, "mail_disk_size_bytes": 100}),
        ("PeepMailDiskInodes", True, {"mail_disk_free_inodes": 9, "mail_disk_inodes": 100}),
        ("PeepMailDiskUnreadable", True, {"mail_disk_up": 0}),
        ("PeepMailDiskSlow", True, {"mail_disk_look_seconds": 3}),
        ("PeepEventLoopLate", True, {"pop3_instance_loop_lag_seconds": 0.3}),
        ("PeepEventLoopLate", False, {"pop3_instance_loop_lag_seconds": 0.1}),
        ("PeepStoreMemory", True, {"store_memory_bytes": 9, "store_max_memory_bytes": 10}),
        ("PeepStoreMemory", False, {"store_memory_bytes": 9, "store_max_memory_bytes": 0}),
        ("PeepStoreMayLoseUsers", True, {"store_may_evict": 1, "store_append_only": 1}),
        ("PeepStoreMayLoseUsers", True, {"store_may_evict": 0, "store_append_only": 0}),
        ("PeepStoreMayLoseUsers", False, {"store_may_evict": 0, "store_append_only": 1}),
        ("PeepClocksDiffer", True, {"pop3_instance_clock_ahead_seconds": -3}),
        ("PeepCertificateExpiresSoon", True, {"tls_certificate_not_after_seconds": 13 * 86_400}),
        ("PeepCertificateExpiresSoon", False, {"tls_certificate_not_after_seconds": 15 * 86_400}),
    ],
)
def test_an_alert_fires_where_it_should(
    promtool: str, tmp_path: Path, alert: str, fires: bool, series: dict[str, float]
) -> None:
    samples = [
        {"series": f"peep_{name}{{{INSTANCE}}}", "values": f"{value}x120"} for name, value in series.items()
    ]
    case = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": samples,
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
                        "eval_time": "90m",
                        "exp_samples": [{"labels": "{}", "value": int(fires)}],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "case.yml"
    file.write_text(yaml.safe_dump(case))
    run(promtool, "test", "rules", str(file))
