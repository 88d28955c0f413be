"""What a reader has to know about PyTorch's numbers besides them, and how its precisions are set."""

import torch


def start(threads):
    """As many threads as were asked for, and f32 products that are f32."""
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")


def facts():
    """Version, threads and instruction set."""
    return {
        "program": f"PyTorch {torch.__version__}",
        "threads": torch.get_num_threads(),
        "isa": torch.backends.cpu.get_cpu_capability(),
        "amx": getattr(torch.cpu, "_is_amx_tile_supported", lambda: "unknown")(),
    }


def compute_in(precision):
    """The context in which a forward pass computes in `f32` or `bf16`."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
