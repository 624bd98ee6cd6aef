"""A program in a process of its own: it answers, ends for a reason that is told, and leaves nothing behind."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from actors.own_process import MAIN, OwnProcess, ProcessEnded, ProcessNotStarted

PROGRAM = """
import json, os, subprocess, sys, time

def start():
    return lambda question: json.dumps(eval(question))

def child():
    return subprocess.Popen(["sleep", "600"]).pid

def say(text):
    print(text, flush=True)
    sys.stderr.write("to the other\\n")
    return text
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "eval_program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    children, pipes = psutil.Process().children(), len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert psutil.Process().children() == children
    assert len(os.listdir("/proc/self/fd")) == pipes


@pytest.fixture
def process(program: Path) -> Iterator[OwnProcess]:
    made = OwnProcess(program, "it does not start", memory_bytes=2**27, log_lines=3)
    yield made
    made.close()


def value(process: OwnProcess, question: str, wall_s: float = 30.0, cpu_s: float | None = None) -> object:
    return json.loads(process.ask(question, wall_s=wall_s, cpu_s=cpu_s))


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ends_soon(pid: int) -> bool:
    until = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not is_alive(pid)


def test_one_process_answers_many_questions(process: OwnProcess) -> None:
    pids = {value(process, "os.getpid()") for _ in range(5)}
    assert len(pids) == 1 and value(process, "say('x' * 10**6)") == "x" * 10**6
    assert value(process, "sys.stdin.read()") == ""  # there is nothing to read


@pytest.mark.parametrize(
    ("question", "limits", "told"),
    [
        ("time.sleep(60)", {"wall_s": 0.3}, ("SIGKILL", True, False)),
        ("sum(1 for _ in iter(int, 1))", {"cpu_s": 0.2}, ("SIGXCPU", True, False)),
        ("'x' * 2**28", {}, ("SIGKILL", False, True)),
        ("os.kill(os.getpid(), 11)", {}, ("SIGSEGV", False, False)),
        ("os._exit(3)", {}, ("exit code 3", False, False)),
        ("1 / 0", {}, ("exit code 1", False, False)),
        ("os.closerange(3, 99) or time.sleep(60)", {}, ("SIGKILL", False, True)),
    ],
)
def test_a_process_that_gives_no_answer_says_why_and_another_one_answers(
    process: OwnProcess, question: str, limits: dict[str, float], told: tuple[str, bool, bool]
) -> None:
    assert value(process, "1 + 1") == 2
    began = time.monotonic()
    with pytest.raises(ProcessEnded) as caught:
        value(process, question, **limits)
    assert (str(caught.value), caught.value.over_time, caught.value.over_memory) == told
    assert time.monotonic() - began < 10
    assert value(process, "1 + 1") == 2


def test_what_it_wrote_since_the_question_is_told(process: OwnProcess) -> None:
    assert value(process, "say('before')") == "before"
    with pytest.raises(ProcessEnded) as caught:
        value(process, "say('line') and os._exit(3)")
    assert caught.value.log_tail == ("line", "to the other")


def test_a_question_that_nobody_reads_ends_in_time(process: OwnProcess) -> None:
    pid = value(process, "os.getpid()")
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ProcessEnded):
        value(process, "1" * 10**6, wall_s=0.3)
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("ends_itself", [False, True])
def test_all_that_it_started_ends_with_it(process: OwnProcess, ends_itself: bool) -> None:
    child = value(process, "child()")
    assert isinstance(child, int) and is_alive(child)
    if ends_itself:
        with pytest.raises(ProcessEnded):
            value(process, "os._exit(3)")
    else:
        process.close()
    assert ends_soon(child)


def test_threads_are_answered_one_after_another(process: OwnProcess) -> None:
    wrong: list[int] = []

    def ask(number: int) -> None:
        wrong.extend(number for _ in range(50) if value(process, f"{number}") != number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_program_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    process = OwnProcess(tmp_path / "broken.py", "run `make setup`", log_lines=1)
    with pytest.raises(ProcessNotStarted, match="make setup") as caught:
        process.ask(1, wall_s=1)
    assert caught.value.log_tail == ("ModuleNotFoundError: No module named 'no_such_module'",)


def test_it_ends_with_its_owner(program: Path) -> None:
    made = OwnProcess(program, "it does not start")
    assert value(made, "1 + 1") == 2
    del made  # `nothing_is_left` looks for it


def test_it_ends_with_a_job_that_is_killed(program: Path) -> None:
    code = (
        "from actors.own_process import OwnProcess; from pathlib import Path; import sys, time\n"
        "process = OwnProcess(Path(sys.argv[1]), 'broken')\n"
        "print(process.ask('[os.getpid(), child()]', wall_s=30), flush=True)\n"
        "process.ask('time.sleep(600)', wall_s=600)\n"
    )
    command = [sys.executable, "-c", code, str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=MAIN.parents[1]) as job:
        assert job.stdout is not None
        pid, child = json.loads(job.stdout.readline())
        job.kill()
    assert ends_soon(pid) and ends_soon(child)


def test_it_starts_quickly(program: Path) -> None:
    process = OwnProcess(program, "it does not start")
    value(process, "1")
    modules = value(process, "[name for name in sys.modules if name.split('.')[0] in ('actors', 'numpy', 'conf')]")
    assert modules == []
    process.close()
