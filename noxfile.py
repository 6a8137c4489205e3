"""The checks, one session each; `.ci/run` calls all. They use the environment that `make setup` made."""

import shutil
import sysconfig
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "layers", "native", "tests", "wheel", "slow", "anvil", "demo"]
nox.options.stop_on_first_error = True

STUB_ALLOWLIST = "cpp/bindings/stubtest-allowlist.txt"
CPP = sorted(
    str(path)
    for folder in ("cpp", "benchmarks")
    for path in Path(folder).rglob("*")
    if path.suffix in {".h", ".cpp"}
)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff on Python, clang-format on C++."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("clang-format", "--dry-run", "--Werror", *CPP)


@nox.session
def types(session: nox.Session) -> None:
    """Mypy strict on the package, and the stub of the native module against the module."""
    session.run("mypy")
    session.run("mypy", "-p", "benchmarks")
    session.run(
        "python", "-m", "mypy.stubtest", "zkpfl._core", "--allowlist", STUB_ALLOWLIST, env={"MYPYPATH": "src"}
    )


@nox.session
def layers(session: nox.Session) -> None:
    """Who may import whom."""
    session.run("lint-imports")


@nox.session
def native(session: nox.Session) -> None:
    """The C++ tests under the address and undefined-behaviour sanitizers."""
    build = "build/sanitize"
    session.run(
        "cmake", "-S", ".", "-B", build, "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
        "-DZKPFL_TESTS=ON", "-DZKPFL_SANITIZE=ON", external=True,
    )  # fmt: skip
    session.run("cmake", "--build", build, "--parallel", "2", external=True)
    session.run("ctest", "--test-dir", build, "--output-on-failure", external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """Everything that `make test` runs."""
    session.run("make", "test", external=True)


WHEEL_WORKS = """
import pathlib, sys, zkpfl
assert pathlib.Path(zkpfl.__file__).is_relative_to(sys.prefix), zkpfl.__file__
from zkpfl import _core
from zkpfl.ledger.contracts import compiled
from zkpfl.rpc._pb import zk_node_pb2
assert _core.keccak256(b"") and compiled("zkpfl").bytecode and zk_node_pb2.DESCRIPTOR
"""


@nox.session
def wheel(session: nox.Session) -> None:
    """A wheel, installed where the source is not: it must carry the native module, stubs and contracts."""
    folder = Path(session.create_tmp()).resolve() / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("pip", "wheel", "--quiet", ".", "--no-deps", "--no-build-isolation", "-w", str(folder))
    session.run("python", "-m", "venv", str(folder / "venv"))
    python = str(folder / "venv" / "bin" / "python")
    (built,) = folder.glob("zkpfl-*.whl")
    session.run(python, "-m", "pip", "install", "--quiet", "--no-deps", str(built), external=True)
    # The dependencies of this environment, after the new one's own packages. What is installed here in
    # editable form stays out: path files found on the way are not followed.
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    session.chdir(folder)
    session.run(str(folder / "venv" / "bin" / "zkpfl"), "--version", external=True)
    session.run(python, "-c", WHEEL_WORKS, external=True)


@nox.session
def slow(session: nox.Session) -> None:
    """Whole demos with parties killed."""
    session.run("python", "-m", "pytest", "-m", "slow")


@nox.session
def anvil(session: nox.Session) -> None:
    """The ledger and end-to-end tests on a real EVM node from npm."""
    folder = session.run("tests/ledger/install_anvil.sh", "build/anvil", external=True, silent=True)
    environment = {"ZKPFL_ANVIL": str(Path(str(folder).strip()).resolve())}
    session.run("python", "-m", "pytest", "-m", "anvil", "-n", "2", env=environment)


@nox.session
def demo(session: nox.Session) -> None:
    """A short demo, as a newcomer runs it."""
    session.run("zkpfl", "demo", "--json", "--data-dir", session.create_tmp() + "/demo")


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks; never part of the tests."""
    session.run("python", "-m", "pytest", "benchmarks", "--benchmark-only")
