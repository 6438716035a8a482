"""Stands in for fairseq2's native part, so that its Python code can be tested with any PyTorch on any machine."""

DOC_MODE = True  # fairseq2 then imports nothing from the native part
__version__ = "0.8.1"


def supports_image() -> bool:
    return False


def supports_cuda() -> bool:
    return False


def cuda_version() -> None:
    return None
