"""Runs in the convert environment, in a process of its own: TensorFlow, onnx2tf, and the engine's preprocessing."""
