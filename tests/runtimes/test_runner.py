"""A runner runs a project's code in a child: its results, its failures, its end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import runner_entries as entries
from runner_entries import Facts, Text

import bucle
from bucle.errors import RemoteError
from bucle.messages import translate_error
from bucle.project import Checkout, UnknownDefinition
from bucle.runtimes import Limits, ProjectCodeFailed, Runner, RunnerDied, RunnerTimeout, Runtime, Seedbed, current_runtime
from bucle.runtimes.errors import RunnerNotStarted
from bucle.runtimes.seedbed import Forked

linux = pytest.mark.skipif(sys.platform != "linux", reason="children are forked, and die with their parent, on Linux only")


def with_entries(runtime: Runtime) -> Runtime:
    """The runtime with the tests' own entry points on its path."""
    return replace(runtime, path_entries=(*runtime.path_entries, str(Path(entries.__file__).parent)))


LOCKED = replace(with_entries(current_runtime()), digest="blake3:locked")
"""As a runtime that was installed from a lock: children of these are forked."""


@pytest.fixture(scope="module")
def seeds() -> Iterator[Seedbed]:
    seeds = Seedbed()
    yield seeds
    seeds.close()


@pytest.fixture(params=["started", pytest.param("forked", marks=linux)])
def runner(root: Path, tmp_path: Path, request: pytest.FixtureRequest, seeds: Seedbed) -> Iterator[Runner]:
    """All that holds for a child that was started holds for one that was forked off a seed."""
    log = tmp_path / "runner.log"
    if request.param == "started":
        runner = Runner.start(with_entries(current_runtime()), root, artifacts=tmp_path / "artifacts", log=log)
    else:
        runner = forked(seeds, root, tmp_path / "artifacts", log)
    yield runner
    runner.kill()


def forked(seeds: Seedbed, root: Path, artifacts: Path, log: Path | None = None, *, most: int = 500) -> Runner:
    """Start children until one is forked: those that come before the seed is ready are started as ever."""
    for _ in range(most):
        runner = Runner.start(LOCKED, root, artifacts=artifacts, log=log, seeds=seeds)
        if isinstance(runner._process, Forked):
            return runner
        runner.kill()
    raise AssertionError("no seed ever was ready")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_what_goes_in_comes_out_and_the_child_stays_warm(runner: Runner) -> None:
    first = runner.call("runner_entries:facts", Text(), Facts)
    assert runner.call("runner_entries:echo", Text("año"), Text) == Text("año")
    assert runner.call("runner_entries:facts", Text(), Facts).pid == first.pid == runner.pid != os.getpid()
    assert runner.usable


def test_a_child_knows_its_folders_and_no_tokens(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BUCLE_TOKEN", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "PYTHONPATH"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    limits = Limits(open_files=321)
    runner = Runner.start(with_entries(current_runtime()), root, artifacts=tmp_path / "kept", limits=limits)
    facts = runner.call("runner_entries:facts", Text(), Facts)
    runner.close()
    assert (facts.cwd, facts.root, facts.artifacts) == (str(root), str(root), str(tmp_path / "kept"))
    assert "secret" not in facts.environment.values()
    assert facts.environment["OMP_NUM_THREADS"] == "3"
    assert facts.open_files == 321
    assert facts.group == facts.pid


def test_the_child_asks_and_the_parent_answers(runner: Runner) -> None:
    answer = runner.call("runner_entries:ask_twice", Text("a"), Text, answer=lambda question: question + b"!")
    assert answer == Text("a!!")


def test_a_child_goes_on_while_its_question_is_answered(runner: Runner) -> None:
    asked: list[bytes] = []

    def answer(question: bytes) -> bytes:
        asked.append(question)
        return question + b"!"

    taken = runner.call("runner_entries:post_and_go_on", Text("take"), Text, answer=answer)
    assert taken == Text("posted! asked!")
    left = runner.call("runner_entries:post_and_go_on", Text("leave"), Text, answer=answer)
    assert left == Text("left")
    with pytest.raises(ProjectCodeFailed, match="failed meanwhile"):
        runner.call("runner_entries:post_and_go_on", Text("fail"), Text, answer=answer)
    again = runner.call("runner_entries:ask_twice", Text("a"), Text, answer=answer)
    assert again == Text("a!!")
    assert asked == [b"posted", b"asked", b"posted", b"posted", b"a", b"a!"]


def test_an_answer_that_fails_ends_the_call_with_its_own_error(runner: Runner) -> None:
    def refuse(question: bytes) -> bytes:
        raise KeyError("no such run")

    with pytest.raises(KeyError, match="no such run"):
        runner.call("runner_entries:ask_twice", Text("a"), Text, answer=refuse)
    assert runner.call("runner_entries:echo", Text("b"), Text) == Text("b")


def test_a_failure_of_the_projects_code_names_its_line(
    runner: Runner, write: Callable[[str], Checkout], tmp_path: Path
) -> None:
    write('"""A project."""\n\n\ndef divide() -> float:\n    return inner(0)\n\n\ndef inner(x):\n    return 1 / x\n')
    with pytest.raises(ProjectCodeFailed) as caught:
        runner.call("runner_entries:run_project", Text("divide"), Text, log=tmp_path / "step.log")
    assert caught.value.where == "small/__init__.py:9"
    assert caught.value.text == "The project's code failed: ZeroDivisionError: division by zero."
    assert str(tmp_path / "step.log") in caught.value.next_step
    assert "Traceback" not in caught.value.text
    assert "Traceback" in (tmp_path / "step.log").read_text()
    assert runner.call("runner_entries:echo", Text("still here"), Text) == Text("still here")


def test_a_failure_in_a_lazy_expression_counts_as_that_of_its_declaration(runner: Runner) -> None:
    with pytest.raises(ProjectCodeFailed, match="LookupError: no column wnd") as caught:
        runner.call("runner_entries:lazily", Text(), Text)
    assert caught.value.where == "small/__init__.py:7"


def test_a_coded_error_comes_back_as_itself(runner: Runner) -> None:
    with pytest.raises(UnknownDefinition) as caught:
        runner.call("runner_entries:refuse", Text(), Text)
    assert (caught.value.where, caught.value.next_step) == ("small/__init__.py:3", "The nearest: fit.")
    assert translate_error(caught.value, "es")[1] == "Los más parecidos: fit."


def test_a_coded_error_that_this_process_does_not_know_keeps_its_code(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bucle.runtimes.wire.CODES", {})
    with pytest.raises(RemoteError) as caught:
        runner.call("runner_entries:refuse", Text(), Text)
    assert (caught.value.code, caught.value.status) == ("project/unknown-definition", 404)


def test_a_project_that_calls_exit_fails_like_any_other(runner: Runner) -> None:
    with pytest.raises(ProjectCodeFailed, match="SystemExit: the code wanted to leave"):
        runner.call("runner_entries:leave", Text(), Text)


@pytest.mark.parametrize(("how", "reason"), [("exit", "with exit status 7"), ("kill", "by SIGKILL")])
def test_a_child_that_dies_is_said_to_have_died(runner: Runner, how: str, reason: str) -> None:
    with pytest.raises(RunnerDied, match=reason):
        runner.call("runner_entries:die", Text(how), Text)
    assert not runner.usable
    with pytest.raises(RunnerDied):
        runner.call("runner_entries:echo", Text(), Text)


def test_a_child_that_dies_is_noticed_though_its_fork_holds_the_line_open(runner: Runner) -> None:
    forks: list[int] = []

    def answer(question: bytes) -> bytes:
        forks.append(int(question))
        return b""

    with pytest.raises(RunnerDied, match="by SIGKILL"):
        runner.call("runner_entries:die_leaving_a_fork", Text(), Text, answer=answer)
    assert alive(forks[0]), "it was not the end of the fork that was noticed"
    os.kill(forks[0], signal.SIGKILL)


def test_a_timeout_ends_the_child_and_what_it_started(runner: Runner) -> None:
    grandchildren: list[int] = []

    def answer(question: bytes) -> bytes:
        grandchildren.append(int(question))
        return b""

    runner.call("runner_entries:echo", Text(), Text)
    with pytest.raises(RunnerTimeout, match=r"took longer than 1\.5 s"):
        runner.call("runner_entries:sleep", Text(), Text, timeout=1.5, answer=answer)
    assert not runner.usable
    assert eventually(lambda: not alive(runner.pid) and not alive(grandchildren[0]))


def test_a_child_that_does_not_even_listen_is_ended_in_time(runner: Runner) -> None:
    runner.call("runner_entries:echo", Text(), Text)
    os.kill(runner.pid, signal.SIGSTOP)
    with pytest.raises(RunnerTimeout):
        runner.call("runner_entries:echo", Text("x" * 10_000_000), Text, timeout=0.5)
    assert eventually(lambda: not alive(runner.pid))


def test_kill_from_another_thread_ends_a_call(runner: Runner) -> None:
    started = threading.Event()

    def answer(question: bytes) -> bytes:
        started.set()
        return b""

    killer = threading.Thread(target=lambda: (started.wait(20), runner.kill()))
    killer.start()
    with pytest.raises(RunnerDied, match="it was stopped"):
        runner.call("runner_entries:sleep", Text(), Text, answer=answer)
    killer.join()


def test_output_goes_to_the_log_of_its_call_and_nowhere_else(runner: Runner, tmp_path: Path) -> None:
    for call in ("one", "two"):
        runner.call("runner_entries:shout", Text(call), Text, log=tmp_path / f"{call}.log")
    runner.call("runner_entries:shout", Text("three"), Text)
    runner.close()
    for call, file in (("one", "one.log"), ("two", "two.log"), ("three", "runner.log")):
        lines = sorted((tmp_path / file).read_text().splitlines())
        assert lines == [f"err {call}", f"grandchild {call}", f"out {call}"]


def test_a_child_that_breaks_the_protocol_is_ended(runner: Runner) -> None:
    with pytest.raises(RunnerDied, match="it broke the protocol"):
        runner.call("runner_entries:break_protocol", Text(), Text)
    assert eventually(lambda: not alive(runner.pid))


def test_memory_beyond_the_limit_is_refused(root: Path, tmp_path: Path) -> None:
    runner = Runner.start(with_entries(current_runtime()), root, artifacts=tmp_path, limits=Limits(memory_mb=300))
    assert runner.call("runner_entries:fill_memory", Text("1000000"), Text) == Text("1000000")
    with pytest.raises(ProjectCodeFailed, match="MemoryError"):
        runner.call("runner_entries:fill_memory", Text("1000000000"), Text)
    runner.close()


def test_cpu_beyond_the_limit_ends_the_child(root: Path, tmp_path: Path) -> None:
    runner = Runner.start(with_entries(current_runtime()), root, artifacts=tmp_path, limits=Limits(cpu_seconds=1))
    with pytest.raises(RunnerDied, match=r"SIGKILL|SIGXCPU"):
        runner.call("runner_entries:spin", Text(), Text, answer=lambda question: b"")


def test_a_runtime_that_cannot_be_started_is_named(root: Path, tmp_path: Path) -> None:
    runtime = replace(current_runtime(), python=tmp_path / "no-python")
    with pytest.raises(RunnerNotStarted, match="no-python"):
        Runner.start(runtime, root, artifacts=tmp_path)


PARENT = """
import sys, threading
from dataclasses import replace
from pathlib import Path
from bucle.runtimes import Runner, current_runtime
sys.path.insert(0, sys.argv[2])
from runner_entries import Text
runtime = replace(current_runtime(), path_entries=(*current_runtime().path_entries, sys.argv[2]))
runners = []
starter = threading.Thread(target=lambda: runners.append(Runner.start(runtime, Path(sys.argv[1]), artifacts=Path(sys.argv[1]))))
starter.start()
starter.join()
runners[0].call("runner_entries:echo", Text("lives on after the thread that started it"), Text)
def announce(question):
    print(runners[0].pid, flush=True)
    return b""

runners[0].call("runner_entries:spin", Text(), Text, answer=announce)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="children die with their parent on Linux only")
def test_a_child_dies_with_its_parent_and_not_with_a_thread_of_it(root: Path) -> None:
    source = str(Path(bucle.__file__).parent.parent)
    command = [sys.executable, "-c", PARENT, str(root), str(Path(entries.__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source}) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.1)  # the child hears the answer and spins: it will not see that its socket is closed
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
    died = eventually(lambda: not alive(pid))
    if not died:
        os.kill(pid, signal.SIGKILL)
    assert died
