"""Three processes under kill -9, SIGSTOP, network cuts and power cuts, with librdkafka writing all the time."""

import json
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(3_600)]

IS_ROOT = os.geteuid() == 0


def faults(*options: str, in_namespace: bool = False) -> dict:
    command = [sys.executable, "-m", "tests.evidence.faults", *options]
    if in_namespace:
        command = ["unshare", "-n", *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=3_500)
    assert done.stdout, f"{command} printed nothing"
    result = json.loads(done.stdout)
    print(result)
    assert done.returncode == 0, result
    return result


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_processes_that_are_killed_paused_and_restarted_lose_nothing(seed: int) -> None:
    faults("--faults", "kill,kill_leader,kill_all,pause,pause_leader,restart", "--seconds", "90", "--seed", str(seed))


@pytest.mark.skipif(not IS_ROOT or shutil.which("nft") is None, reason="needs root and nft")
@pytest.mark.parametrize("seed", [1, 2])
def test_cuts_between_nodes_lose_nothing(seed: int) -> None:
    options = ["--faults", "isolate,mute,deafen,part", "--seconds", "90", "--seed", str(seed)]
    faults(*options, in_namespace=True)


@pytest.mark.skipif(not IS_ROOT, reason="needs root for a file system of its own")
def test_power_cuts_of_all_nodes_at_once_lose_nothing() -> None:
    result = faults("--faults", "power_all", "--count", "20", "--seconds", "1200", "--seed", "1")
    assert result["faults"]["power_all"] == 20


@pytest.mark.skipif(not IS_ROOT, reason="needs root for a file system of its own")
def test_power_cuts_of_one_node_lose_nothing() -> None:
    faults("--faults", "power,kill_leader", "--seconds", "90", "--seed", "2")


@pytest.mark.skipif(not IS_ROOT, reason="needs root for a file system of its own")
def test_full_disks_lose_nothing_and_heal_by_themselves() -> None:
    faults("--faults", "fill,fill_all,kill", "--seconds", "60", "--seed", "1")


def test_writes_go_on_after_each_of_a_hundred_killed_leaders() -> None:
    result = faults("--faults", "kill_leader", "--count", "100", "--seconds", "1800", "--rate", "300")
    assert result["faults"]["kill_leader"] == 100
