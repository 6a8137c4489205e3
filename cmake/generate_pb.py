"""Generate the message classes and gRPC stubs of proto/ into one package with relative imports."""

import re
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc


def main(proto_root: Path, out: Path) -> None:
    """Compile every .proto under ``proto_root``/zkpfl/v1 and flatten the result into ``out``."""
    well_known = str(files("grpc_tools") / "_proto")
    source = proto_root / "zkpfl" / "v1"
    protos = sorted(str(path) for path in source.glob("*.proto"))
    arguments = [f"-I{source}", f"-I{well_known}", f"--python_out={out}", f"--pyi_out={out}"]
    if protoc.main(["protoc", *arguments, f"--grpc_python_out={out}", *protos]):
        raise SystemExit("protoc failed")
    for path in out.glob("*_pb2*.py*"):
        # protoc writes top-level imports; inside a package they must be relative.
        text = re.sub(r"^import (\w+_pb2)", r"from . import \1", path.read_text(), flags=re.M)
        path.write_text(text)
    (out / "__init__.py").write_text('"""Generated from proto/zkpfl/v1; do not edit."""\n')


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
