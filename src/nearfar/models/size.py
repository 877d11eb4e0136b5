"""The size of a model, and the memory that training needs."""

from __future__ import annotations

from typing import Any


def sizes(model: Any) -> dict[str, Any]:
    """Numbers of parameters, and the bytes that AdamW needs: two moments per parameter, with the parameter's dtype."""
    embedded = {id(module.weight) for module in (model.get_input_embeddings(), model.get_output_embeddings()) if module}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    held = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    learned = sum(weight.numel() * weight.element_size() for weight in trained)
    every = sum(weight.numel() for weight in model.parameters())
    apart = sum(weight.numel() for weight in model.parameters() if id(weight) not in embedded)
    return {
        "parameters": {"all": every, "without_embeddings": apart, "trained": sum(w.numel() for w in trained)},
        "memory_bytes": {"weights": held, "gradients": learned, "optimizer": 2 * learned},
    }


def peak_memory() -> int | None:
    """The most memory so far, in bytes: on GPUs what torch has allocated there, or else that of this process.

    None on systems without the module `resource` (Windows).
    """
    import sys

    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:
        return None
    # Kilobytes on Linux, bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
