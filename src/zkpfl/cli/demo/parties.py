"""The parties of a demo: their key files, and the commands that their processes run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zkpfl.cli.demo.settings import ATTACKER, PHASES, DemoSettings
from zkpfl.crypto.merkle import keccak256
from zkpfl.crypto.sealing import generate_encryption_key
from zkpfl.crypto.signatures import AccountKey
from zkpfl.ledger.records import MPC
from zkpfl.roles.identity import Identity

FEE = 110 * MPC
"""Fee and draw fee."""
STAKE = 500 * MPC
JOB = 1
"""The demo's ledger is new, so its job is the first."""
PATIENCE_S = 90
JOB_DEADLINE_S = 1800


class Parties:
    """Everyone in the demo, with fresh keys under ``data_dir/keys``.

    Parameters
    ----------
    settings
        The run.
    """

    def __init__(self, settings: DemoSettings) -> None:
        self._settings = settings
        self._root = settings.data_dir
        self.deployer = _deployer(settings.seed)
        self.owner = self._new("owner", with_bls=False)
        self.nodes = [self._new(name, with_bls=True) for name in self.node_names]
        self.trainers = [self._new(name, with_bls=False) for name in settings.trainer_names]

    @property
    def node_names(self) -> list[str]:
        """Names of the zk-nodes."""
        return [f"node-{number}" for number in range(1, self._settings.nodes + 1)]

    @property
    def network_file(self) -> Path:
        """Where the network file lies."""
        return self._root / "network.json"

    @property
    def job_key_file(self) -> Path:
        """Where the owner keeps the job's key."""
        return self._root / "keys" / "job.key"

    @property
    def model_file(self) -> Path:
        """Where the owner leaves the trained model."""
        return self._root / "model.safetensors"

    def names(self) -> dict[bytes, str]:
        """Name of each account."""
        named = zip(self.node_names + self._settings.trainer_names, self.nodes + self.trainers, strict=True)
        own = {self.deployer.account.address: "deployer", self.owner.account.address: "owner"}
        return own | {identity.account.address: name for name, identity in named}

    def grants(self) -> dict[bytes, int]:
        """What each account gets to begin with, base units: fee or stake, exactly."""
        staking = {identity.account.address: STAKE for identity in self.nodes + self.trainers}
        return {self.owner.account.address: FEE, **staking}

    def ledger_command(self) -> list[str]:
        """Run the embedded ledger."""
        return ["ledger", "serve", "--data-dir", str(self._root / "ledger")]

    def node_commands(self) -> Iterator[tuple[str, list[str]]]:
        """Name and command of each zk-node."""
        for name in self.node_names:
            yield name, ["node", "serve", *self._who(name), "--data-dir", str(self._root / name)]

    def owner_command(self) -> list[str]:
        """Submit the job and follow it."""
        run = self._settings
        options = {
            "--job-key": str(self.job_key_file),
            "--model": run.data.value,
            "--nodes": str(run.nodes),
            "--threshold": str(run.threshold),
            "--quorum": str(run.quorum),
            "--max-trainers": str(run.trainers),
            "--phases": PHASES,
            "--deadline": str(JOB_DEADLINE_S),
            "--seed": str(run.seed),
            "--wait": str(PATIENCE_S),
            "--out": str(self.model_file),
        }
        if run.rounds is not None:
            options["--rounds"] = str(run.rounds)
        if run.target is not None:
            options["--target"] = run.target
        words = [word for option in options.items() for word in option]
        return ["job", "submit", *self._who("owner"), *words, *self._privacy(), "--follow"]

    def _privacy(self) -> list[str]:
        asked = self._settings.privacy
        if not asked.private:
            return ["--no-privacy"]
        budget = {"--epsilon": asked.epsilon, "--delta": asked.delta}
        given = {name: repr(value) for name, value in budget.items() if value is not None}
        return [word for option in given.items() for word in option]

    def _policy(self) -> list[str]:
        """Trainers of a demo agree to what its owner asks for, and to nothing more."""
        asked = self._settings.privacy
        if not asked.private:
            return ["--most-epsilon", "inf"]
        budget = {"--most-epsilon": asked.epsilon, "--most-delta": asked.delta}
        given = {name: repr(value) for name, value in budget.items() if value is not None}
        return [word for option in given.items() for word in option]

    def trainer_commands(self) -> Iterator[tuple[str, list[str]]]:
        """Name and command of each trainer."""
        run = self._settings
        for number, name in enumerate(run.trainer_names):
            options = ["--job", str(JOB), "--data", run.source(number), "--seed", str(run.seed)]
            options += [*self._policy(), "--wait", str(PATIENCE_S)]
            if run.attack and number == ATTACKER:
                options += ["--attack", run.attack.value]
            yield name, ["trainer", "run", *self._who(name), *options]

    def _who(self, name: str) -> list[str]:
        return ["--network", str(self.network_file), "--identity", str(self._key_file(name))]

    def _key_file(self, name: str) -> Path:
        return self._root / "keys" / f"{name}.json"

    def _new(self, name: str, *, with_bls: bool) -> Identity:
        identity = Identity.generate(with_bls)
        identity.save(self._key_file(name))
        return identity


def _deployer(seed: int) -> Identity:
    """Deployer of the run's seed.

    The contract's address follows from the deployer's and enters the rotation of every round: with a fresh
    deployer two runs of one seed would round differently. The account has no power over the contract, and the
    chain is new.
    """
    account = AccountKey.from_bytes(keccak256(f"ZKPFL-V1-DEMO-DEPLOYER {seed}".encode()))
    return Identity(account, generate_encryption_key())
