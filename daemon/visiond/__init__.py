"""visiond: a camera's frames through a TFLite model, out as detections on a Unix socket."""

__version__ = "0.1.0"
