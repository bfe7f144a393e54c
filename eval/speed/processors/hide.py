"""For gdb: run a Python program whose ONNX Runtime does not see some of the processor's instructions.

ONNX Runtime chooses its kernels by what the instruction CPUID says when it is loaded. Here each CPUID of its library is
a breakpoint, behind which the bits named in the variable HIDE are cleared; from then on the program runs at full speed,
with the kernels of the older processor.

    HIDE=avx512_vnni gdb -q -batch -x eval/speed/processors/hide.py --args python -m eval.speed.processors.worker ...
"""

import os
import re
import subprocess

import gdb  # gdb has it, and no other Python

LIBRARY = "onnxruntime_pybind11_state"
# Leaf and subleaf of CPUID, register and bit (Intel 64 and IA-32 Architectures Software Developer's Manual, CPUID).
BITS = {
    "avx512f": (7, 0, "ebx", 16),
    "avx512dq": (7, 0, "ebx", 17),
    "avx512cd": (7, 0, "ebx", 28),
    "avx512bw": (7, 0, "ebx", 30),
    "avx512vl": (7, 0, "ebx", 31),
    "avx512_vnni": (7, 0, "ecx", 11),
    "avx_vnni": (7, 1, "eax", 4),
    "avx512_bf16": (7, 1, "eax", 5),
    "amx_bf16": (7, 0, "edx", 22),
    "amx_tile": (7, 0, "edx", 24),
    "amx_int8": (7, 0, "edx", 25),
}


def register(name: str) -> int:
    """Return the low 32 bits of a register."""
    return int(gdb.parse_and_eval(f"${name}")) & 0xFFFFFFFF


def library() -> tuple[int, str]:
    """Return where the library lies in the program's memory, and its file."""
    with open(f"/proc/{gdb.selected_inferior().pid}/maps") as maps:
        line = next(line for line in maps if LIBRARY in line)
    return int(line.split("-")[0], 16), line.split()[-1]


def main() -> None:
    """Start the program, hide what HIDE names, and let it run."""
    hidden = [BITS[name] for name in os.environ["HIDE"].split(",") if name]
    for setting in ("pagination off", "confirm off", "auto-solib-add off", "breakpoint pending on"):
        gdb.execute(f"set {setting}")
    gdb.execute(f"catch load {LIBRARY}")
    gdb.execute("run", to_string=True)
    base, path = library()
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True)
    for address in re.findall(r"^\s*([0-9a-f]+):\tcpuid", code.stdout, re.MULTILINE):
        gdb.execute(f"break *{base + int(address, 16)}", to_string=True)
    gdb.execute("continue", to_string=True)
    while gdb.selected_inferior().pid:
        asked = register("eax"), register("ecx")
        gdb.execute("stepi", to_string=True)
        for leaf, subleaf, name, bit in hidden:
            if asked == (leaf, subleaf):
                gdb.execute(f"set ${name} = {register(name) & ~(1 << bit)}", to_string=True)
        gdb.execute("continue", to_string=True)


main()
