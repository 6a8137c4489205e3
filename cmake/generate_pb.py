"""Generate the message classes of proto/ into one flat package with relative imports."""

import re
import sys
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from grpc_tools import protoc


def main(proto_root: Path, out: Path) -> None:
    """Compile every .proto under ``proto_root``/zkpfl/v1 and flatten the result into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        compile_protos(proto_root, Path(scratch))
        for path in (Path(scratch) / "zkpfl" / "v1").glob("*_pb2.py*"):
            # protoc writes imports from the root of the .proto tree; inside a package they must be relative.
            text = re.sub(r"^from zkpfl\.v1 import", "from . import", path.read_text(), flags=re.M)
            (out / path.name).write_text(text)
    (out / "__init__.py").write_text('"""Generated from proto/zkpfl/v1; do not edit."""\n')


def compile_protos(proto_root: Path, out: Path) -> None:
    """Run protoc from the root: descriptors carry their path, and a process has one pool for all."""
    well_known = str(files("grpc_tools") / "_proto")
    protos = sorted(str(path) for path in (proto_root / "zkpfl" / "v1").glob("*.proto"))
    includes = [f"-I{proto_root}", f"-I{well_known}"]
    if protoc.main(["protoc", *includes, f"--python_out={out}", f"--pyi_out={out}", *protos]):
        raise SystemExit("protoc failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
