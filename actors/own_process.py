"""Run a Python program in a process of its own, which has limits and can be killed. It answers questions in JSON lines.

Templates, answers and files of others can loop for ever, fill the memory or end the process that reads them. An
`OwnProcess` keeps that away from the job. `own_process_main` is the other end: it says what a program must define.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import IO, Any

from actors.errors import FailedWithLog, QuantAssayError

MAIN = Path(__file__).with_name("own_process_main.py")
_LOG_BYTES = 2**16
_EXIT_S = 1.0
"""Seconds that a process which ends by itself gets to leave its exit code."""


class ProcessNotStarted(FailedWithLog):
    """The program cannot even start. No question is the cause."""


class ProcessEnded(QuantAssayError):
    """The process gave no answer: it took too long, or it ended. The next question starts another one."""

    def __init__(self, code: int, over_time: bool, log_tail: tuple[str, ...]) -> None:
        super().__init__(signal.Signals(-code).name if code < 0 else f"exit code {code}")
        self.over_time = over_time or code == -signal.SIGXCPU
        self.over_memory = code == -signal.SIGKILL and not over_time
        """The kernel kills if the machine's memory runs out. The process kills itself if its own limit is reached."""
        self.log_tail = log_tail


class OwnProcess:
    """Owner of one process. It is started when first asked, reused, and started again after it ended.

    Threads may share it: they are answered one after another. It ends with its owner, or with the job.
    """

    def __init__(
        self, program: Path, if_broken: str, *, memory_bytes: int = 0, start_s: float = 120.0, log_lines: int = 0
    ) -> None:
        """Start nothing yet.

        Args:
            if_broken: the message if the program cannot start.
            memory_bytes: limit on top of what the program takes before the first question; 0: none.
            start_s: seconds of wall time that it may take to start.
            log_lines: the most lines of its output that an error shows; 0: its output is thrown away.
        """
        self._command = [sys.executable, "-P", str(MAIN), str(program), str(memory_bytes)]
        self._if_broken = if_broken
        self._start_s = start_s
        self._log_lines = log_lines
        self._process: subprocess.Popen[str] | None = None
        self._log: IO[bytes] | None = None
        self._lock = threading.RLock()

    def ask(self, question: Any, *, wall_s: float, cpu_s: float | None = None) -> str:
        """Return the program's answer, as JSON.

        Args:
            question: anything that JSON can hold.
            wall_s: seconds until the process is killed.
            cpu_s: seconds of processor time until the kernel ends it. A busy machine does not change them.

        Raises:
            ProcessNotStarted: the program cannot start.
            ProcessEnded: there is no answer.
        """
        with self._lock:
            process = self._started()
            return self._exchange(process, json.dumps({"cpu_s": cpu_s, "question": question}) + "\n", wall_s)

    def close(self) -> None:
        """Kill the process, and all that it has started."""
        with self._lock:
            if self._process is not None:
                self._end()
                self._process = None

    def _started(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._log = tempfile.TemporaryFile() if self._log_lines else None  # noqa: SIM115 (`_end` closes it)
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log or subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._end = weakref.finalize(self, _end, self._process, self._log)  # also called when this process ends
        try:
            self._exchange(self._process, "", self._start_s)
        except ProcessEnded as error:
            raise ProcessNotStarted(self._if_broken, error.log_tail) from None
        return self._process

    def _exchange(self, process: subprocess.Popen[str], written: str, wall_s: float) -> str:
        """Send a text and return the line that follows. Otherwise end the process: nobody knows what it is doing."""
        assert process.stdin is not None and process.stdout is not None
        log_began = 0 if self._log is None else self._log.seek(0, os.SEEK_END)
        line, over_time = "", threading.Event()

        def end() -> None:
            over_time.set()
            _kill(process)

        # Death ends every wait for the process: for its input to be read, and for a line, begun or not.
        timer = threading.Timer(wall_s, end)
        with contextlib.ExitStack() as if_unanswered:
            if_unanswered.callback(self.close)
            timer.start()
            try:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(written)
                    process.stdin.flush()
                    line = process.stdout.readline()
            finally:
                timer.cancel()
                timer.join()
            if line.endswith("\n") and not over_time.is_set():
                if_unanswered.pop_all()
                return line
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_EXIT_S)
            log_tail = self._log_tail(log_began)
        raise ProcessEnded(process.returncode, over_time.is_set(), log_tail)

    def _log_tail(self, began: int) -> tuple[str, ...]:
        """Return the last lines that the process wrote after its log had the size `began`."""
        if self._log is None:
            return ()
        self._log.seek(max(began, self._log.seek(0, os.SEEK_END) - _LOG_BYTES))
        text = self._log.read().decode("utf-8", "replace")
        return tuple([line for line in text.splitlines() if line.strip()][-self._log_lines :])


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):  # no process of the group is left
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[str], log: IO[bytes] | None) -> None:
    _kill(process)
    process.wait()
    for file in (process.stdin, process.stdout, log):
        if file is not None:
            with contextlib.suppress(BrokenPipeError):  # what was not read is lost
                file.close()
