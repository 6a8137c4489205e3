"""Write the assembly of four products modulo p of BLS12-381 at once, for AVX2.

Usage: ``fp_mul4.py OUTPUT.S``; the build runs it, the text is not kept.

A number has 14 limbs of 28 bits, in Montgomery form with R = 2^392; limb j of four numbers is one 256-bit
vector, so that one ``vpmuludq`` makes four partial products and nothing crosses the vectors' lanes. Each of
14 rows adds ``a·b_i`` to the accumulators and a multiple of p that clears the lowest, which is then dropped.

* Rows 0 to 12 use ``p' = p·(−p⁻¹ mod 2^28)``: it is −1 modulo 2^28, so the multiplier of a row is the lowest
  accumulator itself, and ``m·p' = m·(p' + 1) − m`` only needs the 14 limbs of ``(p' + 1)/2^28``. That saves a
  product in each row, and most of the time from one row to the next.
* The last row uses p, which brings the result from 2^28·p down to less than ``a·b/2^392 + 2.01·p``.

Accumulators hold at most 28 products: below 2^64 for limbs below 2^30 of one factor and 2^29 of the other, or
2^30 both. Source: Montgomery 1985; Gueron and Krasnov 2012 for the shape.
"""

import sys
from collections.abc import Callable
from pathlib import Path

P = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
LIMBS = 14
BITS = 28
MASK = 2**BITS - 1
INVERSE = -pow(P, -1, 2**BITS) % 2**BITS
MULTIPLE = (P * INVERSE + 1) >> BITS

FACTOR, PRODUCT = "%ymm14", "%ymm15"
ROW_PRIME, LAST_PRIME, LAST_INVERSE, LIMB_MASK = "row_prime", "last_prime", "last_inverse", "limb_mask"


def limbs(value: int) -> list[int]:
    """Split into limbs, lowest first."""
    return [(value >> (BITS * i)) & MASK for i in range(LIMBS)]


def at(register: str, limb: int) -> str:
    """Return the address of a limb's vector."""
    return f"{32 * limb}(%{register})"


def constant(name: str, limb: int = 0) -> str:
    """Return the address of a constant's vector."""
    return f"{name}+{32 * limb}(%rip)"


def multiply_add(accumulator: str, factor: str, address: str) -> list[str]:
    """Accumulate a product."""
    return [f"vpmuludq {address}, {factor}, {PRODUCT}", f"vpaddq {PRODUCT}, {accumulator}, {accumulator}"]


def reduce(t: list[str]) -> list[str]:
    """Clear the lowest accumulator with p'; its register then is the new highest one."""
    code = [f"vpsrlq ${BITS}, {t[0]}, {PRODUCT}", f"vpaddq {PRODUCT}, {t[1]}, {t[1]}"]
    code.append(f"vpand {constant(LIMB_MASK)}, {t[0]}, {t[0]}")
    for j in range(1, LIMBS):
        code += multiply_add(t[j], t[0], constant(ROW_PRIME, j - 1))
    return [*code, f"vpmuludq {constant(ROW_PRIME, LIMBS - 1)}, {t[0]}, {t[0]}"]


def reduce_last(t: list[str]) -> list[str]:
    """Clear the lowest accumulator with p."""
    code = [f"vpmuludq {constant(LAST_INVERSE)}, {t[0]}, {FACTOR}"]
    code.append(f"vpand {constant(LIMB_MASK)}, {FACTOR}, {FACTOR}")
    for j in range(LIMBS):
        code += multiply_add(t[j], FACTOR, constant(LAST_PRIME, j))
    return [*code, f"vpsrlq ${BITS}, {t[0]}, {t[0]}", f"vpaddq {t[0]}, {t[1]}, {t[1]}"]


def carry(t: list[str]) -> list[str]:
    """Bring the limbs t[0..12] to 28 bits, the last carry being limb 13, and store them."""
    code = [f"vmovdqa {constant(LIMB_MASK)}, {FACTOR}"]
    for j in range(LIMBS - 1):
        last = j == LIMBS - 2
        code.append(f"vpsrlq ${BITS}, {t[j]}, {t[j + 1] if last else PRODUCT}")
        code += [] if last else [f"vpaddq {PRODUCT}, {t[j + 1]}, {t[j + 1]}"]
        code += [f"vpand {FACTOR}, {t[j]}, {t[j]}", f"vmovdqa {t[j]}, {at('rdi', j)}"]
    return [*code, f"vmovdqa {t[LIMBS - 1]}, {at('rdi', LIMBS - 1)}"]


def rows(partial_products: Callable[[int, list[str]], list[str]]) -> list[str]:
    """Join the rows; `partial_products(i, t)` adds row i of the product."""
    t = [f"%ymm{i}" for i in range(LIMBS)]
    code = []
    for i in range(LIMBS):
        code += partial_products(i, t)
        code += reduce(t) if i < LIMBS - 1 else reduce_last(t)
        t = t[1:] + t[:1]
    return code + carry(t)


def product() -> list[str]:
    """rdi = rsi · rdx."""

    def row(i: int, t: list[str]) -> list[str]:
        code = [f"vmovdqa {at('rdx', i)}, {FACTOR}"]
        for j in range(LIMBS):
            if i == 0:
                code.append(f"vpmuludq {at('rsi', j)}, {FACTOR}, {t[j]}")
            else:
                code += multiply_add(t[j], FACTOR, at("rsi", j))
        return code

    return rows(row)


def square() -> list[str]:
    """rdi = rsi², with the doubled limbs of rsi on the stack."""
    frame = 32 * LIMBS
    code = ["movq %rsp, %rax", f"subq ${frame}, %rsp", "andq $-32, %rsp"]
    for j in range(1, LIMBS):
        code += [f"vmovdqa {at('rsi', j)}, {PRODUCT}", f"vpaddq {PRODUCT}, {PRODUCT}, {PRODUCT}"]
        code.append(f"vmovdqa {PRODUCT}, {at('rsp', j)}")

    def row(i: int, t: list[str]) -> list[str]:
        code = [f"vmovdqa {at('rsi', i)}, {FACTOR}"]
        for j in range(i, LIMBS):
            source = at("rsi" if j == i else "rsp", j)
            if i == 0:
                code.append(f"vpmuludq {source}, {FACTOR}, {t[j]}")
            else:
                code += multiply_add(t[j], FACTOR, source)
        return code

    return [*code, *rows(row), "movq %rax, %rsp"]


def function(name: str, code: list[str]) -> str:
    """Wrap a body of instructions; the caller, AVX2 code itself, leaves with vzeroupper."""
    body = "\n".join(f"    {line}" for line in [*code, "ret"])
    head = f"    .globl {name}\n    .hidden {name}\n    .type {name}, @function\n    .p2align 6\n{name}:\n"
    return f"{head}{body}\n    .size {name}, .-{name}\n"


def table(name: str, values: list[int]) -> str:
    """Four equal 64-bit words for each value."""
    words = "\n".join(f"    .quad {', '.join([hex(value)] * 4)}" for value in values)
    return f"    .p2align 5\n{name}:\n{words}\n"


def assembly() -> str:
    """Return the whole file."""
    tables = {
        ROW_PRIME: limbs(MULTIPLE),
        LAST_PRIME: limbs(P),
        LAST_INVERSE: [INVERSE],
        LIMB_MASK: [MASK],
    }
    parts = ["#if defined(__x86_64__) && defined(__ELF__)\n    .section .rodata\n"]
    parts += [table(name, values) for name, values in tables.items()]
    parts += ["    .text\n", function("zkpfl_fp_mul4", product()), function("zkpfl_fp_sqr4", square())]
    return "".join([*parts, "#endif\n", '    .section .note.GNU-stack,"",@progbits\n'])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(assembly())
