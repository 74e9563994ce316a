"""ONNX Runtime sessions as models use them."""

import onnxruntime as ort


def session_of(graph: bytes) -> ort.InferenceSession:
    """One thread: a tower is a few small products, and a pool that spins a session takes cores from other calls."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
